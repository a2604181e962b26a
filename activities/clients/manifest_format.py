"""Finds, in a manifest of any common layout, the digests that it gives to exactly one version."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import yaml

from runbook.identifier import tag_of

_DIGEST = re.compile(r"(?<!\w)sha256:[0-9a-f]{64}(?![0-9A-Za-z])")
_A_VERSION = re.compile(r"v?\d+\.\d+\.\d+.*")
_NAMES = ("version", "tag")
_DIGEST_KEY = "digest"
_DEEPEST = 50


class Unreadable(Exception):
    """The manifest is not what its format says."""


def digests_of(content: bytes, form: str, version: str) -> list[str]:
    """The different digests that the manifest gives to this version and no other, in the order they are found.

    `form` is text (one line names version and digest), json or yaml (the version is a key, or the value of a key
    `version` or `tag`).

    Raises:
        Unreadable: with what is wrong, in few words.
    """
    try:
        if form == "text":
            return _unique(_of_lines(content.decode(), version))
        document = json.loads(content, object_pairs_hook=_Pairs) if form == "json" else _yaml(content)
        return _unique(_of_document(document, version, _DEEPEST))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise Unreadable(" ".join(str(error).split())[:150]) from None


@dataclass(frozen=True)
class _Pairs:
    """An object with all its keys: a key written twice may hide a second digest."""

    of: "list[tuple[str, _Node]]"


_Node: TypeAlias = "_Pairs | list[_Node] | str | float | None"


def _of_lines(text: str, version: str) -> Iterator[str]:
    mine = re.compile(rf"(?<![\w.+-])v?{re.escape(version)}(?![\w+-]|\.\w)")
    for line in text.splitlines():
        # What is left once our version is out must name no other: whose is the digest else?
        if mine.search(line) and not _other_version(mine.sub(" ", line)):
            yield from _DIGEST.findall(line)


def _other_version(text: str) -> bool:
    return re.search(r"(?<![\w.+-])v\d+\.\d+\.\d+", text) is not None


def _of_document(node: _Node, version: str, depth: int) -> Iterator[str]:
    """Look for the places that are about the version."""
    if depth == 0:
        raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
    if isinstance(node, _Pairs):
        named = _named(node)
        if named is not None and _is(named, version):
            yield from _inside(node, version, depth)
            return
        for key, value in node.of:
            yield from (_inside if _is(key, version) else _of_document)(value, version, depth - 1)
    elif isinstance(node, list):
        for item in node:
            yield from _of_document(item, version, depth - 1)


def _inside(node: _Node, version: str, depth: int) -> Iterator[str]:
    """Every digest at a place that is about the version, but for what there is about another one."""
    if depth == 0:
        raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
    if isinstance(node, str):
        yield from _DIGEST.findall(node)
    elif isinstance(node, _Pairs):
        named = _named(node)
        if named is not None and not _is(named, version):
            return
        # Beside its digest an entry may list those of its platforms and layers.
        stated = [(key, value) for key, value in node.of if key == _DIGEST_KEY]
        for key, value in stated or node.of:
            if _is(key, version) or not _A_VERSION.fullmatch(key):
                yield from _inside(value, version, depth - 1)
    elif isinstance(node, list):
        for item in node:
            yield from _inside(item, version, depth - 1)


def _named(pairs: _Pairs) -> str | None:
    return next((value for key, value in pairs.of if key in _NAMES and isinstance(value, str)), None)


def _is(written: str, version: str) -> bool:
    return written in {version, tag_of(version)}


def _unique(found: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(found))


class _Loader(yaml.SafeLoader):
    """Keeps keys that are written twice, and takes no references: a few bytes of them can grow without end."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("it has references (*name): write the values out")
        return super().compose_node(parent, index)

    def pairs(self, node: yaml.MappingNode) -> _Pairs:
        read = cast("Any", self).construct_object
        return _Pairs([(str(read(key, deep=True)), read(value, deep=True)) for key, value in node.value])


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.pairs)


def _yaml(content: bytes) -> Any:
    return yaml.load(content, Loader=_Loader)  # noqa: S506 - a SafeLoader, see above
