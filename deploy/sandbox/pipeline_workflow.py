"""Reads the part of a workflow file that decides whether a pushed tag starts a run, and which jobs it has."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import yaml

FOLDER = ".gitea/workflows"
SKIP = ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]")


@dataclass(frozen=True)
class Workflow:
    """`tags` are the globs of on.push.tags; `jobs` the names, in the order they run."""

    file: str
    name: str
    tags: tuple[str, ...]
    jobs: tuple[str, ...]

    def wants(self, tag: str) -> bool:
        return any(fnmatchcase(tag, pattern) for pattern in self.tags)


def parse_workflow(file: str, text: bytes) -> Workflow | None:
    """None when it does not parse: the forge says so in its own log alone, and no run appears."""
    try:
        document = yaml.safe_load(text)
        # YAML takes the key `on` for the word true.
        events = document.get("on", document.get(True))
        push: Any = events.get("push") if isinstance(events, dict) else None
        tags = push.get("tags", []) if isinstance(push, dict) else []
        return Workflow(file, document.get("name") or file, tuple(map(str, tags)), tuple(document["jobs"]))
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        return None


def skips(message: str) -> bool:
    """Whether a commit's message asks for no run."""
    return any(word in message for word in SKIP)
