"""Which secrets the projects' files refer to, so that the log knows what it must not say."""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import SecretStr

_KINDS = ("env:", "file:")


def known_secrets(projects: Path, read: Callable[[str], SecretStr]) -> dict[str, SecretStr]:
    """Every readable secret that a `*.toml` of the folder refers to, by its reference.

    A file that can't be parsed and a secret that can't be read are passed over: whoever needs them complains of them.
    """
    found: dict[str, SecretStr] = {}
    for path in sorted(projects.glob("*.toml")):
        for reference in set(_references(_parsed(path))):
            try:
                found[reference] = read(reference)
            except Exception:  # noqa: BLE001, S112 - a missing secret is the release's to report, and has no value to hide
                continue
    return found


def _parsed(path: Path) -> Any:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(_KINDS):
        yield value
    elif isinstance(value, dict):
        for held in cast("Mapping[str, Any]", value).values():
            yield from _references(held)
    elif isinstance(value, list):
        for held in cast("Sequence[Any]", value):
            yield from _references(held)
