"""Keeps secrets out of log lines: by type, by their known values, and by the forms in which they travel."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, cast
from urllib.parse import quote

from pydantic import SecretBytes, SecretStr

_SHORTEST = 6
_PART = re.compile(r"[A-Za-z0-9_-]{12,}")
_FORMS = (
    (re.compile(r"(?i)\b((?:bearer|basic|token)\s+)(?=\S*[0-9=])[A-Za-z0-9._~+/=-]{8,}"), r"\1[redacted]"),
    (re.compile(r"(?<=://)[^/\s@'\"]+(?=@)"), "[redacted]"),
)


class Redaction:
    """A structlog processor; give it the secrets as they become known. A value of under 6 characters can't be told apart."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._ordered: list[tuple[str, str]] = []

    def learn(self, secrets: Mapping[str, SecretStr]) -> None:
        """`secrets` maps the name that may be shown (`env:FORGE_TOKEN`) to the value that may not."""
        for name, secret in secrets.items():
            for needle in _needles(secret.get_secret_value()):
                self._known.setdefault(needle, name)
        self._ordered = sorted(self._known.items(), key=lambda known: -len(known[0]))

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key, value in event.items():
            event[key] = self._walk(value)
        return event

    def clean(self, text: str) -> str:
        for needle, name in self._ordered:
            if needle in text:
                text = text.replace(needle, f"[{name}]")
        for form, shown in _FORMS:
            text = form.sub(shown, text)
        return text

    def _walk(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, SecretStr | SecretBytes):
            return "[redacted]"
        if isinstance(value, dict):
            held = cast("Mapping[Any, Any]", value)
            return {self._walk(key): self._walk(each) for key, each in held.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._walk(each) for each in cast("Iterable[Any]", value)]
        return self.clean(str(value))


async def keep_learning(redaction: Redaction, look: Callable[[], Mapping[str, SecretStr]], every: float = 5.0) -> None:
    """Learn again and again what `look` (called in a thread) finds, so that a rotated secret is known too."""
    while True:
        redaction.learn(await asyncio.to_thread(look))
        await asyncio.sleep(every)


def _needles(value: str) -> set[str]:
    """The value, its lines (a private key), the telling parts of an address that carries a token, and their quoted forms."""
    found = {value, value.strip(), *(line.strip() for line in value.splitlines())}
    if "://" in value:
        found |= {part for part in re.split(r"[/:@?&=#,]", value) if _PART.fullmatch(part)}
    found |= {quote(needle, safe="") for needle in found}
    return {needle for needle in found if len(needle) >= _SHORTEST and not needle.startswith("-----")}
