"""What a worker serves to Prometheus, and which of it an expression means."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_SELECTED = re.compile(r"\b((?:temporal|runbook)_\w+)\s*(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_GIVEN_BY_PROMETHEUS = {"instance", "job", "le"}


@dataclass(frozen=True)
class Sample:
    name: str
    labels: dict[str, str]
    value: float


def samples(text: str) -> list[Sample]:
    """Those of a page in Prometheus' format."""
    lines = filter(None, map(_SAMPLE.match, text.splitlines()))
    return [Sample(found[1], dict(_LABEL.findall(found[2] or "")), float(found[3])) for found in lines]


def unknown(expression: str, exported: list[Sample]) -> Iterator[str]:
    """Whatever is selected or grouped by that no exported series has."""
    labels = _GIVEN_BY_PROMETHEUS.copy()
    for found in _SELECTED.finditer(expression):
        name, matchers = found[1], _MATCHER.findall(found[2] or "")
        meant = [each for each in exported if each.name == name and all(_matches(each, *m) for m in matchers)]
        labels.update(*(each.labels for each in meant))
        if not meant:
            yield found[0]
    grouped = {name.strip() for found in _GROUPED.finditer(expression) for name in found[1].split(",")}
    yield from sorted(grouped - labels - {""})


def expressions(value: Any) -> Iterator[str]:
    """Every `expr` of a dashboard or a file of rules."""
    if isinstance(value, dict):
        for key, held in value.items():
            if key == "expr":
                yield held
            else:
                yield from expressions(held)
    elif isinstance(value, list):
        for held in value:
            yield from expressions(held)


def _matches(one: Sample, label: str, how: str, wanted: str) -> bool:
    """A dashboard's variable may be anything that there is."""
    has = one.labels.get(label)
    if wanted.startswith("$"):
        return has is not None
    same = has is not None and (re.fullmatch(wanted, has) is not None if "~" in how else has == wanted)
    return same != how.startswith("!")
