"""The filters of a list of containers, as `docker ps --filter` has them."""

import json
import re
from collections.abc import Callable

from deploy.sandbox.containers import Container
from deploy.sandbox.engine_errors import EngineError

_STATES = {"created", "restarting", "running", "removing", "paused", "exited", "dead"}


def parse(text: str | None) -> dict[str, list[str]]:
    """Both shapes that clients send: `{"name": ["a"]}` and `{"name": {"a": true}}`."""
    try:
        given = json.loads(text or "{}")
        filters = {key: [value for value in values if value] for key, values in given.items()}
    except (ValueError, AttributeError, TypeError) as error:
        # A 500 it is, as measured: Docker takes this for a fault of its own.
        raise EngineError(500, f"invalid filter: {error}") from error
    for key in filters:
        if key not in _TESTS:
            raise EngineError(400, f"Invalid filter '{key}'")
    for state in filters.get("status", []):
        if state not in _STATES:
            raise EngineError(400, f"Invalid filter 'status={state}'")
    return filters


def matches(container: Container, filters: dict[str, list[str]]) -> bool:
    """Any value of a key, all keys; for labels all values."""
    for key, values in filters.items():
        combine = all if key == "label" else any
        if values and not combine(_TESTS[key](container, value) for value in values):
            return False
    return True


def _name(container: Container, pattern: str) -> bool:
    """A regular expression found anywhere in the name, with and without its slash."""
    try:
        return any(re.search(pattern, name) for name in (f"/{container.name}", container.name))
    except re.error:
        return pattern in container.name


def _label(container: Container, wanted: str) -> bool:
    labels = container.config.get("Labels") or {}
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


_TESTS: dict[str, Callable[[Container, str], bool]] = {
    "name": _name,
    "label": _label,
    "id": lambda container, wanted: wanted in container.id,
    "status": lambda container, wanted: container.status == wanted,
    "ancestor": lambda container, wanted: wanted in {container.image, container.config.get("Image")},
}
