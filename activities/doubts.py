"""Collects what speaks against something, so that every fault is named at once."""

from collections.abc import Awaitable, Iterable
from typing import TypeVar

from activities.errors import Refused, StepError
from runbook.trouble import Cause

T = TypeVar("T")

_SHOWN = 20


class Doubts:
    """Ask `of` for each look; `raise_any` says what came out."""

    def __init__(self) -> None:
        self._faults: list[Refused] = []
        self._unclear: list[StepError] = []

    async def of(self, look: Awaitable[T]) -> T | None:
        """What the look found; None, and a doubt more, when it was refused or could not be made."""
        try:
            return await look
        except Refused as fault:
            self._faults.append(fault)
        except StepError as silent:
            self._unclear.append(silent)
        return None

    def add(self, faults: Iterable[str]) -> None:
        self._faults += [Refused(fault) for fault in faults]

    def raise_any(self, what: str) -> None:
        """Raise the faults in one Refused; where there are none, the first look that could not be made."""
        if self._faults:
            said = list(dict.fromkeys(str(fault) for fault in self._faults))
            causes = {fault.cause for fault in self._faults}
            cause = causes.pop() if len(causes) == 1 else Cause.REFUSED
            evidence = [line[:300] for line in said][:_SHOWN]
            raise Refused(f"{what}: {'; '.join(said[:_SHOWN])}", cause=cause, evidence=evidence)
        if self._unclear:
            raise self._unclear[0]
