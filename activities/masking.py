"""Hides in what a container says whatever it was given: the env file's values don't leave the worker's memory."""

import itertools
import json
import re
from collections.abc import Iterable
from typing import Protocol
from urllib.parse import quote, unquote

from activities.clients.engine_container import ContainerDetails, LocalImage

_MASK = "•••"
_TELLING = 6
_LOGIN = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")


class Images(Protocol):
    async def image(self, reference: str) -> LocalImage | None: ...


class Mask:
    """Hides every run of six or more characters that is also in a value of `lines`, KEY=VALUE as an engine lists them.

    Which value is a secret shows neither in its name nor in its looks, and programs print parts: the password of an
    address, one line of a key, the beginning of what was too long. So any part of any value is hidden. A host's name or
    `production` goes with them: who misses it looks at the host, while a password in a history can't be taken back.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._known = {run for line in lines for form in _forms(line.partition("=")[2]) for run in _runs(form)}

    def __call__(self, text: str) -> str:
        starts = [at for at in range(len(text)) if text[at : at + _TELLING] in self._known]
        hidden = {at + more for at in starts for more in range(_TELLING)}
        parts = itertools.groupby(range(len(text)), lambda at: at in hidden)
        shown = (_MASK if is_hidden else "".join(text[at] for at in part) for is_hidden, part in parts)
        return _LOGIN.sub(_MASK, "".join(shown))


async def mask_of(container: ContainerDetails, engine: Images) -> Mask:
    """For what this container says. What its image brings along is public; of an image that is gone nothing is."""
    image = await engine.image(container.image_id)
    own = image.environment if image else []
    return Mask(line for line in container.environment if line not in own)


def _forms(value: str) -> set[str]:
    """As it is, as it is in an address, and as JSON has it; of fewer characters nothing can be told apart."""
    if len(value) < _TELLING:
        return set()
    escaped = {json.dumps(value, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
    return {value, unquote(value), quote(value, safe=""), *escaped}


def _runs(form: str) -> Iterable[str]:
    return (form[at : at + _TELLING] for at in range(len(form) - _TELLING + 1))
