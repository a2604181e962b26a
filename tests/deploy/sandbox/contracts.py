"""Compares answers of the sandbox's forge with the forges' own swagger files."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema

from deploy.sandbox.forge import Flavour

FOLDER = Path(__file__).parents[2] / "contracts"
FILES: dict[Flavour, str] = {
    "gitea-1.23": "gitea-1.23.8",
    "gitea-1.26": "gitea-1.26.3",
    "forgejo-15": "forgejo-15.0.3",
}
REPO = "/repos/{owner}/{repo}"

# The files know no null; these fields are null all the same at run time.
NULLABLE = {
    "CombinedStatus": {"statuses", "repository"},
    "Issue": {"milestone", "assignee", "assignees", "closed_at", "due_date", "pull_request"},
    "ContentsResponse": {"content", "encoding", "target", "submodule_git_url", "download_url"},
    "PayloadCommit": {"added", "removed", "modified", "verification"},
    "CommitStatus": {"creator"},
    "Release": {"author"},
}


def check(flavour: Flavour, operation: str, status: int, body: Any) -> None:
    """`operation` is like "GET /releases", below the repository unless it begins at "GET //"."""
    method, _, path = operation.partition(" ")
    contract = load(flavour)
    key = f"{method} {path[1:]}" if path.startswith("//") else f"{method} {REPO}{path}"
    answers: Mapping[str, Any] = contract["answers"][key]
    assert str(status) in answers, f"{key} of {flavour} never answers {status}: {body}"
    schema = answers[str(status)]
    # The swagger of contents/{path} speaks of a file alone.
    if isinstance(body, list) and path == "/contents/{filepath}":
        schema = {"type": "array", "items": schema}
    jsonschema.Draft7Validator({**schema, "definitions": contract["definitions"]}).validate(body)


@functools.cache
def load(flavour: Flavour) -> dict[str, Any]:
    """The contract as a JSON schema, in which a field it does not know is a fault."""
    contract: dict[str, Any] = json.loads((FOLDER / f"{FILES[flavour]}.json").read_text())
    for name, definition in contract["definitions"].items():
        if "properties" in definition and "additionalProperties" not in definition:
            definition["additionalProperties"] = False
        for field in NULLABLE.get(name, set()) & definition.get("properties", {}).keys():
            definition["properties"][field] = {"anyOf": [definition["properties"][field], {"type": "null"}]}
    return contract
