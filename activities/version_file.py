"""Reads the version that a file of the project states, whichever kind of file it is."""

import json
import tomllib
from pathlib import PurePosixPath
from typing import Any, cast

_TOML_PLACES = (
    ("project", "version"),
    ("package", "version"),
    ("tool", "poetry", "version"),
    ("workspace", "package", "version"),
)
_LONGEST_WORD = 200


def stated_version(path: str, content: bytes) -> str:
    """The version as it stands there: JSON's `version`, TOML's project, package or poetry version, else the whole text.

    Raises:
        ValueError: the file can't be read as what its name says, or states no version.
    """
    kind = PurePosixPath(path).suffix.lower()
    if kind == ".json":
        return _at(json.loads(content), ("version",))
    if kind == ".toml":
        document = tomllib.loads(content.decode())
        stated = (_found(document, place) for place in _TOML_PLACES)
        found = next((version for version in stated if version is not None), None)
        if found is None:
            raise ValueError(f"none of {', '.join('.'.join(place) for place in _TOML_PLACES)} is a text in it")
        return found
    return content.decode().strip()[:_LONGEST_WORD]


def _at(document: Any, place: tuple[str, ...]) -> str:
    found = _found(document, place)
    if found is None:
        raise ValueError(f"{'.'.join(place)} is no text in it")
    return found


def _found(document: Any, place: tuple[str, ...]) -> str | None:
    for key in place:
        if not isinstance(document, dict):
            return None
        document = cast("dict[str, Any]", document).get(key)
    return document if isinstance(document, str) else None
