"""What a worker needs to release the sandbox's shop: the project's file and the variables with its secrets."""

import json
import shlex
import sys
from typing import Any

from deploy.sandbox.engine_store import write_whole
from deploy.sandbox.sandbox_facts import SandboxFacts
from deploy.sandbox.sandbox_place import Place
from deploy.sandbox.settings import ENGINE_SOCKET, PROJECT, Layout, Role, env_path

TOKEN_ENV, PASSWORD_ENV, ON_CALL_ENV = "SHOP_FORGE_TOKEN", "SHOP_REGISTRY_PASSWORD", "SHOP_ON_CALL"

Document = dict[str, dict[str, Any]]


def project_document(facts: SandboxFacts) -> Document:
    """The tables of the project's file; times are short, for nobody waits ten minutes for a demo."""
    forge, registry = facts.forge, facts.registry
    python = sys.executable
    return {
        "project": {
            "owner": forge.owner,
            "name": forge.name,
            "repository": forge.repository,
            "user": forge.user,
            "version_files": ["package.json"],
        },
        "forge": {"url": forge.url, "token": f"env:{TOKEN_ENV}"},
        "pipeline": {"workflow": "release.yml", "finishes_within": "5m", "poll_every": "250ms", "jobs": ["build"]},
        "artifact": {
            "registry": registry.address,
            "image": registry.image,
            "insecure": True,
            "manifest": {"path": "manifest.txt", "ref": "artifacts"},
            "credentials": {"user": registry.user, "password": f"env:{PASSWORD_ENV}"},
            "scan": [python, "scan.py"],
        },
        "uat": {"command": [python, "uat.py"], "within": "1m"},
        "smoke_test": {"command": [python, "smoke.py"], "within": "1m"},
        "staging": _environment(facts, "staging"),
        "production": {
            **_environment(facts, "production"),
            "soak": {"lasts": "3s", "every": "500ms", "failures": 3, "within": "1m"},
        },
        "gate": {"approvers": ["alice", "bob"], "expires_after": "1h", "remind_every": "10m"},
        "notify": {"on_call": [f"env:{ON_CALL_ENV}"], "approvers": [f"env:{ON_CALL_ENV}"]},
    }


def write_project(layout: Layout, facts: SandboxFacts, place: Place) -> None:
    layout.projects.mkdir(parents=True, exist_ok=True)
    write_whole(layout.projects / f"{PROJECT}.toml", to_toml(project_document(facts)).encode())
    lines = (f"{name}={shlex.quote(value)}\n" for name, value in worker_environment(layout, facts, place).items())
    write_whole(layout.worker_env, "".join(lines).encode(), mode=0o600)


def worker_environment(layout: Layout, facts: SandboxFacts, place: Place) -> dict[str, str]:
    """The variables of worker.env, secrets among them."""
    return {
        "RUNBOOK_PROJECTS": str(layout.projects),
        "RUNBOOK_STATE": str(layout.worker_state),
        TOKEN_ENV: place.forge_token,
        PASSWORD_ENV: place.registry_password,
        ON_CALL_ENV: facts.on_call,
    }


def to_toml(document: Document) -> str:
    """Tables of words, numbers, lists and inline tables: JSON's spelling of those is TOML's too."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in table.items())
        for name, table in document.items()
    )


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(held)}" for key, held in value.items()) + " }"
    return json.dumps(value)


def _environment(facts: SandboxFacts, role: Role) -> dict[str, Any]:
    hosts = facts.having(role)
    return {
        "hosts": [host.address for host in hosts],
        "port": hosts[0].port,
        "container": container_name(role),
        "env_file": env_path(role),
        "health": "http://{host}:{port}/health",
        "version": "http://{host}:{port}/version",
        "stop_timeout": "5s",
        "health_deadline": "6s",
        "ssh": {
            "user": facts.ssh_user,
            "port": hosts[0].ssh_port,
            "key": f"file:{facts.ssh_key}",
            "known_hosts": str(facts.known_hosts),
            "socket": ENGINE_SOCKET,
        },
    }


def container_name(role: Role) -> str:
    return PROJECT if role == "production" else f"{PROJECT}-{role}"
