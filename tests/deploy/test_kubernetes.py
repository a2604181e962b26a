"""The manifests for Kubernetes: what they make, set beside the image, the worker's settings and the projects' files."""

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from activities.projects import Projects
from deploy import healthcheck
from process.settings import WorkerSettings
from process.stopping import MARGIN
from tests.deploy.dockerfile import instructions
from tests.deploy.kustomization import Manifest, read, readers
from tests.deploy.running import DEPLOY, ROOT, output_of
from tests.docs.pages import blocks, of_program

FOLDER = DEPLOY / "kubernetes"
PAGE = ROOT / "docs" / "operations.md"
OURS = {f"RUNBOOK_{field.upper()}" for field in WorkerSettings.model_fields}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
LEDGER = "postgresql+psycopg://runbook:opensesame@database.example.net/runbook"
# Reads them as the worker does, and says which they are.
SETTINGS = """
from process.connection import Target
from process.settings import WorkerSettings, together
settings, target = together(WorkerSettings.read, Target.read)
print(settings.model_dump_json())
"""


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return read(FOLDER)


@pytest.fixture(scope="module")
def pod(manifests: list[Manifest]) -> Manifest:
    spec: Manifest = one(manifests, "Deployment")["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def worker(pod: Manifest) -> Manifest:
    [container] = pod["containers"]
    found: Manifest = container
    return found


@pytest.fixture(scope="module")
def config(manifests: list[Manifest]) -> Mapping[str, Mapping[str, str]]:
    """The data of each ConfigMap."""
    return {each["metadata"]["name"]: each["data"] for each in manifests if each["kind"] == "ConfigMap"}


@pytest.fixture(scope="module")
def settings(config: Mapping[str, Mapping[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """As the worker reads them."""
    return settings_of(config["release-runbook-settings"], tmp_path_factory.mktemp("state"))


def one(manifests: list[Manifest], kind: str) -> Manifest:
    [found] = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def named(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    return {(each["kind"], each["metadata"]["name"]): each for each in manifests}


def settings_of(variables: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """What the worker reads of these, its folders elsewhere."""
    moved = {"RUNBOOK_PROJECTS": str(DEPLOY / "projects"), "RUNBOOK_STATE": str(folder), "RUNBOOK_LEDGER": LEDGER}
    told = {**variables, **moved, "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    found: dict[str, Any] = json.loads(output_of([sys.executable, "-c", SETTINGS], environment=told, folder=ROOT))
    return found


def mounts(worker: Manifest, pod: Manifest) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Each path with its mount and its volume."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for mount in worker["volumeMounts"]:
        yield mount["mountPath"], mount, volumes[mount["name"]]


def test_whoever_reads_them_reads_the_same() -> None:
    for name, reader in readers().items():
        assert named(reader(FOLDER)) == named(read(FOLDER)), name


def test_they_go_into_whichever_namespace_they_are_applied_in(manifests: list[Manifest]) -> None:
    assert {each["metadata"].get("namespace") for each in manifests} == {None}
    assert len(named(manifests)) == len(manifests) == 6


def test_the_image_is_one_version_and_the_project_s(worker: Manifest) -> None:
    assert worker["image"] == f"registry.example.net/acme/release-runbook:{VERSION}"


def test_every_setting_is_one_that_the_worker_has(worker: Manifest, config: Mapping[str, Mapping[str, str]]) -> None:
    given = set(config["release-runbook-settings"]) | {variable["name"] for variable in worker["env"]}
    assert {name for name in given if not name.startswith("TEMPORAL_")} <= OURS
    assert {name for name in given if name.startswith("TEMPORAL_")} <= set(
        re.findall(r"TEMPORAL_\w+", PAGE.read_text())
    )
    for path in FOLDER.iterdir():
        assert set(re.findall(r"\bRUNBOOK_\w+", path.read_text())) <= OURS, path.name


def test_the_worker_takes_the_settings_and_no_secret_is_among_them(
    settings: Mapping[str, Any], config: Mapping[str, Mapping[str, str]]
) -> None:
    assert settings["tagger"][1] == "releases@example.net"
    assert not re.search("PASSWORD|TOKEN|SECRET|KEY|LEDGER", " ".join(config["release-runbook-settings"]))


def test_no_worker_starts_without_the_ledger_that_they_share(manifests: list[Manifest], worker: Manifest) -> None:
    assert one(manifests, "Deployment")["spec"]["replicas"] > 1
    [ledger] = [variable for variable in worker["env"] if variable["name"] == "RUNBOOK_LEDGER"]
    assert not ledger["valueFrom"]["secretKeyRef"].get("optional")


def test_it_waits_longer_than_the_worker_needs_to_end(pod: Manifest, settings: Mapping[str, Any]) -> None:
    assert pod["terminationGracePeriodSeconds"] > settings["grace"] + MARGIN.total_seconds()


def test_what_the_settings_and_the_projects_name_is_mounted_there(
    pod: Manifest, worker: Manifest, config: Mapping[str, Mapping[str, str]]
) -> None:
    at = {path: volume for path, _, volume in mounts(worker, pod)}
    settings = config["release-runbook-settings"]
    assert at[settings["RUNBOOK_PROJECTS"]]["configMap"]["name"] == "release-runbook-projects"
    assert "emptyDir" in at[settings["RUNBOOK_STATE"]]
    for text in config["release-runbook-projects"].values():
        for path in set(re.findall(r'"(?:file:)?(/etc/release-runbook/[^"]+)"', text)):
            assert path in at or str(PurePosixPath(path).parent) in at, path
        for path in set(re.findall(r'known_hosts = "([^"]+)"', text)):
            assert at[path]["configMap"]["name"] == "release-runbook-known-hosts"
    assert "known_hosts" in config["release-runbook-known-hosts"]


def test_only_what_is_gone_with_the_worker_can_be_written(pod: Manifest, worker: Manifest) -> None:
    assert worker["securityContext"]["readOnlyRootFilesystem"] is True
    written = {path for path, mount, _ in mounts(worker, pod) if not mount.get("readOnly")}
    assert written == {path for path, _, volume in mounts(worker, pod) if "emptyDir" in volume}
    kept = {rest for word, rest in instructions() if word == "VOLUME"}
    assert written == {*kept, "/tmp"}


def test_the_image_s_user_reads_the_secrets_and_nobody_else_does(pod: Manifest, worker: Manifest) -> None:
    [user] = [rest for word, rest in instructions() if word == "USER"]
    context = pod["securityContext"]
    assert user == f"{context['runAsUser']}:{context['runAsGroup']}"
    [secret] = [volume["secret"] for _, _, volume in mounts(worker, pod) if "secret" in volume]
    # Root's, so it is the group that counts.
    assert secret["defaultMode"] == 0o440
    assert context["fsGroup"] == context["runAsGroup"]


def test_it_may_do_as_little_as_a_restricted_namespace_lets_it(pod: Manifest, worker: Manifest) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert worker["securityContext"]["allowPrivilegeEscalation"] is False
    assert worker["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False
    assert {"hostNetwork", "hostPID", "hostIPC"} & set(pod) == set()
    assert {next(key for key in volume if key != "name") for volume in pod["volumes"]} <= {
        *("configMap", "secret", "emptyDir")
    }


def test_both_probes_are_the_image_s_own_check_and_only_the_gentler_one_ends_it(worker: Manifest) -> None:
    [check] = [rest for word, rest in instructions() if word == "HEALTHCHECK"]
    own = json.loads(check[check.index("[") :])
    assert worker["readinessProbe"]["exec"]["command"] == own
    assert worker["livenessProbe"]["exec"]["command"] == [*own, "--alive"]
    for probe in ("readinessProbe", "livenessProbe"):
        words = worker[probe]["exec"]["command"]
        asked = healthcheck.arguments().parse_args(words[words.index("deploy.healthcheck") + 1 :])
        assert asked.alive is (probe == "livenessProbe")
    patience = worker["livenessProbe"]
    # Longer than a server that comes back needs to hear of a worker again.
    assert patience["failureThreshold"] * patience["periodSeconds"] >= 300


def test_every_project_is_valid_and_read_from_a_volume_as_kubernetes_makes_them(
    config: Mapping[str, Mapping[str, str]], tmp_path: Path
) -> None:
    data = tmp_path / "..2026_11_26"
    data.mkdir()
    (tmp_path / "..data").symlink_to(data.name)
    for name, text in config["release-runbook-projects"].items():
        (data / name).write_text(text)
        (tmp_path / name).symlink_to(Path("..data", name))
    projects = Projects(tmp_path)
    assert {f"{name}.toml" for name in projects.names()} == set(config["release-runbook-projects"]) != set()
    for name in projects.names():
        assert projects.load(name).project.project.owner == "acme"


def test_all_of_them_mean_the_same_workers(manifests: list[Manifest], pod: Manifest) -> None:
    deployment = one(manifests, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    [spread] = pod["topologySpreadConstraints"]
    chosen = [each["matchLabels"] for each in (deployment["selector"], spread["labelSelector"])]
    chosen.append(one(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"])
    chosen.append(one(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"])
    assert chosen == [labels] * 4


def test_one_worker_goes_on_while_a_machine_is_emptied_and_none_holds_that_up(manifests: list[Manifest]) -> None:
    budget = one(manifests, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] < one(manifests, "Deployment")["spec"]["replicas"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_nobody_is_let_in_but_to_the_port_on_which_metrics_are_served(
    manifests: list[Manifest], worker: Manifest, config: Mapping[str, Mapping[str, str]]
) -> None:
    [port] = worker["ports"]
    [rule] = one(manifests, "NetworkPolicy")["spec"]["ingress"]
    assert rule["ports"] == [{"port": port["name"]}]
    assert config["release-runbook-settings"]["RUNBOOK_METRICS"] == f"0.0.0.0:{port['containerPort']}"


def test_the_page_makes_every_secret_that_is_asked_for(
    pod: Manifest, worker: Manifest, config: Mapping[str, Mapping[str, str]]
) -> None:
    made = {words[3]: words for _, words in of_program("kubectl") if words[:3] == ["create", "secret", "generic"]}
    asked = {variable["valueFrom"]["secretKeyRef"]["name"] for variable in worker["env"]}
    [secrets] = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert set(made) == {*asked, secrets}
    files = {Path(word).name for word in made[secrets] if word.startswith("--from-file=")}
    text = "".join(config["release-runbook-projects"].values())
    assert files == set(re.findall(r'"file:/etc/release-runbook/secrets/([^"]+)"', text))


def test_the_page_applies_a_folder_that_is_there_and_waits_for_what_is_in_it(manifests: list[Manifest]) -> None:
    commands = [words for _, words in of_program("kubectl")]
    applied = {words[words.index("--kustomize") + 1] for words in commands if "--kustomize" in words}
    assert {ROOT / folder for folder in applied} == {FOLDER}
    meant = {word for words in commands for word in words if word.startswith("deployment/")}
    assert meant == {f"deployment/{one(manifests, 'Deployment')['metadata']['name']}"}


@pytest.mark.parametrize("reader", readers())
def test_a_build_beside_others_says_which_it_is(reader: str, tmp_path: Path) -> None:
    [written] = [block for block in blocks(PAGE, "yaml") if "resources:" in block]
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "kustomization.yaml").write_text(written)
    (tmp_path / "kubernetes").symlink_to(FOLDER)
    build = readers()[reader](tmp_path / "build")
    [space] = {each["metadata"]["namespace"] for each in build}
    settings = named(build)["ConfigMap", "release-runbook-settings"]["data"]
    said = settings_of(settings, tmp_path)
    assert said["deployment"] == "release-runbook"
    assert space == f"release-runbook-{said['build_id'].replace('.', '-')}"
    [container] = one(build, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example.net/acme/release-runbook:{said['build_id']}"
