"""Containers and images in the words of the Engine API."""

from datetime import datetime
from typing import Any

from deploy.sandbox.containers import Container
from deploy.sandbox.engine_errors import EngineError
from deploy.sandbox.engine_images import Image, Images
from deploy.sandbox.engine_store import NEVER, seconds_since

Json = dict[str, Any]


def image_inspected(image: Image) -> Json:
    return {
        "Id": image.id,
        "RepoTags": image.tags,
        "RepoDigests": image.digests,
        "Created": image.created,
        "Architecture": image.architecture,
        "Os": image.os,
        "Size": image.size,
        "VirtualSize": image.size,
        "Config": image.config,
        "RootFS": {"Type": "layers", "Layers": image.layers},
    }


def image_listed(image: Image) -> Json:
    return {
        "Id": image.id,
        "ParentId": "",
        "RepoTags": image.tags or None,
        "RepoDigests": image.digests or None,
        "Created": _unix(image.created),
        "Size": image.size,
        "VirtualSize": image.size,
        "SharedSize": -1,
        "Labels": image.config.get("Labels"),
        "Containers": -1,
    }


def container_inspected(container: Container) -> Json:
    config = container.config
    words = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    return {
        "Id": container.id,
        "Created": container.created,
        "Path": words[0] if words else "",
        "Args": words[1:],
        "State": _state(container),
        "Image": container.image,
        "Name": f"/{container.name}",
        "RestartCount": container.restarts,
        "Driver": "process",
        "Platform": "linux",
        "Mounts": [],
        "Config": config,
        "HostConfig": {**container.host_config, "RestartPolicy": _policy(container)},
        "NetworkSettings": {"Ports": container.ports, "Networks": {}, "IPAddress": ""},
    }


def container_listed(container: Container, images: Images) -> Json:
    config = container.config
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": _shown_image(container, images),
        "ImageID": container.image,
        "Command": " ".join([*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]),
        "Created": _unix(container.created),
        "Ports": _ports(container),
        "Labels": config.get("Labels") or {},
        "State": container.status,
        "Status": _sentence(container),
        "HostConfig": {"NetworkMode": container.host_config.get("NetworkMode", "default")},
        "NetworkSettings": {"Networks": {}},
        "Mounts": [],
    }


def _state(container: Container) -> Json:
    return {
        "Status": container.status,
        "Running": container.running,
        "Paused": False,
        "Restarting": container.status == "restarting",
        "OOMKilled": False,
        "Dead": False,
        "Pid": container.pid,
        "ExitCode": container.exit_code,
        "Error": container.error,
        "StartedAt": container.started,
        "FinishedAt": container.finished,
    }


def _policy(container: Container) -> Json:
    return {"Name": container.policy.name, "MaximumRetryCount": container.policy.maximum}


def _shown_image(container: Container, images: Images) -> str:
    """The reference it was created with, or the image's id once that reference names another one."""
    asked: str = container.config.get("Image", "")
    try:
        same = images.find(asked).id == container.image
    except EngineError:
        same = False
    return asked if same else container.image


def _ports(container: Container) -> list[Json]:
    listed: list[Json] = []
    for name, bindings in container.ports.items():
        number, _, kind = name.partition("/")
        inner: Json = {"PrivatePort": int(number), "Type": kind or "tcp"}
        listed += [{"IP": each["HostIp"], "PublicPort": int(each["HostPort"]), **inner} for each in bindings] or [inner]
    return listed


def _sentence(container: Container) -> str:
    if container.status == "created":
        return "Created"
    if container.status == "running":
        return f"Up {_ago(container.started)}"
    if container.status == "restarting":
        return f"Restarting ({container.exit_code}) {_ago(container.finished)} ago"
    return f"Exited ({container.exit_code}) {_ago(container.finished)} ago"


def _ago(moment: str) -> str:
    seconds = int(seconds_since(moment))
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return f"{seconds} second{'s' * (seconds != 1)}"
    return f"{seconds // 60} minute{'s' * (seconds >= 120)}" if seconds < 7200 else f"{seconds // 3600} hours"


def _unix(moment: str) -> int:
    if moment == NEVER:
        return 0
    return int(datetime.fromisoformat(moment[:19] + "+00:00").timestamp())
