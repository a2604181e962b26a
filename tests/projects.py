"""A project for tests, as its file says it."""

from typing import Any

from runbook.image import Image
from runbook.project import Project

DIGEST = "sha256:" + "a" * 64
OLD_DIGEST = "sha256:" + "b" * 64
COMMIT = "c" * 40


def project_table() -> dict[str, Any]:
    """The tables of `shop`'s file; change what a test needs."""
    ssh = {"user": "deploy", "key": "env:SSH_KEY"}
    return {
        "project": {
            "owner": "acme",
            "name": "shop",
            "repository": "https://git.example.net/acme/shop.git",
            "related_issue": 775,
            "runbook": "https://wiki.example.net/runbook",
            "incident_template": "https://wiki.example.net/incident",
        },
        "forge": {"url": "https://git.example.net", "token": "env:FORGE_TOKEN"},
        "pipeline": {"finishes_within": "1h"},
        "artifact": {
            "registry": "registry.example.net",
            "image": "acme/shop",
            "manifest": {"path": "manifest.txt", "ref": "artifacts"},
            "scan": ["scan"],
        },
        "uat": {"command": ["uat"]},
        "staging": {
            "hosts": ["staging-1", "staging-2"],
            "port": 8080,
            "container": "shop-staging",
            "env_file": "/etc/opt/shop/staging.env",
            "ssh": ssh,
        },
        "production": {
            "hosts": ["production-1", "production-2", "production-3"],
            "port": 8080,
            "container": "shop",
            "env_file": "/etc/opt/shop/production.env",
            "ssh": ssh,
            "soak": {"lasts": "10m"},
        },
        "smoke_test": {"command": ["smoke"]},
        "gate": {"approvers": ["alice", "bob"]},
        "notify": {"on_call": ["env:ON_CALL"], "approvers": ["env:APPROVERS"]},
    }


def project(**tables: Any) -> Project:
    """`shop`, with these tables' keys changed: `project(gate={"approvals": 2})`."""
    table = project_table()
    for name, keys in tables.items():
        table[name] = {**table.get(name, {}), **keys}
    return Project.model_validate(table)


def image(version: str = "1.4.0", digest: str = DIGEST) -> Image:
    return Image(registry="registry.example.net", name="acme/shop", version=version, digest=digest)
