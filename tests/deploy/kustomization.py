"""What a folder with a kustomization makes, by two readers: ours, which is always there, and kubectl's."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.running import ended, output_of

Manifest = dict[str, Any]
Reader = Callable[[Path], list[Manifest]]
_KNOWN = {"resources", "configMapGenerator", "generatorOptions", "namespace", "images"}
_HASH = re.compile(r"-[0-9a-z]{10}$")
# Since then it takes folders as resources.
_OLDEST = (1, 21)


def read(folder: Path) -> list[Manifest]:
    """By as much of kustomize as our kustomizations use; ValueError where one uses more."""
    told = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    if unknown := set(told) - _KNOWN:
        raise ValueError(f"{folder}/kustomization.yaml: teach tests/deploy/kustomization.py what {unknown} is")
    made = [manifest for name in told.get("resources", []) for manifest in _resource(folder / name)]
    for generated in told.get("configMapGenerator", []):
        _generate(folder, generated, made)
    for manifest in made:
        if "namespace" in told:
            manifest["metadata"]["namespace"] = told["namespace"]
        for container in _containers(manifest):
            container["image"] = _image(container["image"], told.get("images", []))
    return made


def rendered(folder: Path) -> list[Manifest]:
    """By kubectl; names without the hash that it adds, everywhere."""
    told = yaml.safe_load_all(output_of(["kubectl", "kustomize", str(folder)]))
    manifests: list[Manifest] = [manifest for manifest in told if manifest]
    text = json.dumps(manifests)
    for manifest in manifests:
        name = manifest["metadata"]["name"]
        text = text.replace(json.dumps(name), json.dumps(_HASH.sub("", name)))
    hashless: list[Manifest] = json.loads(text)
    return hashless


@cache
def readers() -> Mapping[str, Reader]:
    """Those that this machine has."""
    return {"ours": read, "kubectl": rendered} if _kubectl() >= _OLDEST else {"ours": read}


def _kubectl() -> tuple[int, int]:
    if shutil.which("kubectl") is None:
        return 0, 0
    told = json.loads(ended(["kubectl", "version", "--client", "--output", "json"]).stdout)["clientVersion"]
    return int(told["major"]), int(re.sub(r"\D", "", told["minor"]))


def _resource(path: Path) -> list[Manifest]:
    if path.is_dir():
        return read(path)
    return [manifest for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")) if manifest]


def _generate(folder: Path, told: Manifest, made: list[Manifest]) -> None:
    data = dict(literal.split("=", 1) for literal in told.get("literals", []))
    data |= {Path(name).name: (folder / name).read_text(encoding="utf-8") for name in told.get("files", [])}
    if told.get("behavior") == "merge":
        [merged] = [each for each in made if (each["kind"], each["metadata"]["name"]) == ("ConfigMap", told["name"])]
        merged["data"] |= data
    else:
        made.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": told["name"]}, "data": data})


def _containers(manifest: Manifest) -> list[Manifest]:
    found: list[Manifest] = manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    return found


def _image(image: str, changes: list[Manifest]) -> str:
    name, _, tag = image.rpartition(":")
    return f"{name}:{next((change['newTag'] for change in changes if change['name'] == name), tag)}"
