"""What a service itself says: is it healthy, and is it this version?"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from activities.clients.health import Answer
from activities.errors import Unreachable
from runbook.identifier import tag_of
from runbook.trouble import Cause


class Probe(Protocol):
    async def look(self, url: str) -> Answer: ...


@dataclass(frozen=True)
class Fault:
    """What is wrong, in one line, and the cause that leads to its line of the troubleshooting table."""

    cause: Cause
    what: str


@dataclass(frozen=True)
class Seen:
    """One look at a service: `fault` None when all is well; `lines` are what it answered."""

    fault: Fault | None
    lines: list[str]


async def ask(probe: Probe, health_url: str, version_url: str, version: str | None) -> Seen:
    """Ask both addresses at once; no answer is a fault as well, not an error. Any version will do where it is None."""
    health, stated = await asyncio.gather(_answer(probe, health_url), _answer(probe, version_url))
    lines = [_line(health_url, health), _line(version_url, stated)]
    if not isinstance(health, Answer):
        return Seen(Fault(Cause.UNHEALTHY, health), lines)
    if not health.healthy:
        return Seen(Fault(Cause.UNHEALTHY, f"{health_url} says {health.said}, not that it is healthy"), lines)
    if version is None:
        return Seen(None, lines)
    if not isinstance(stated, Answer):
        return Seen(Fault(Cause.UNHEALTHY, stated), lines)
    if not stated.is_version(version):
        return Seen(Fault(Cause.WRONG_VERSION, f"{version_url} says {stated.said}, not {tag_of(version)}"), lines)
    return Seen(None, lines)


async def _answer(probe: Probe, url: str) -> Answer | str:
    try:
        return await probe.look(url)
    except Unreachable as silent:
        return str(silent)


def _line(url: str, answer: Answer | str) -> str:
    return (f"{url}: {answer.said}" if isinstance(answer, Answer) else answer)[:300]
