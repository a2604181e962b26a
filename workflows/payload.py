"""What arrives from outside, decoded by hand: what can't be read is a fact to show, and never breaks a run."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue

from runbook.decision import Unreadable

CallableT = TypeVar("CallableT", bound=Callable[..., Any])

_ONE_PAYLOAD = inspect.Signature(
    [
        inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        inspect.Parameter("payload", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=RawValue),
    ]
)


def undecoded(handler: CallableT) -> CallableT:
    """Let a handler that takes any number of payloads get a single one as RawValue.

    Temporal decodes payloads by the handler's signature before it is called. One that it can't decode is dropped
    unseen where it is a signal's, and wedges the run for good where it is the order's.
    """
    given = inspect.get_annotations(handler).get("return")
    vars(handler).update(__signature__=_ONE_PAYLOAD)
    handler.__annotations__ = {"payload": RawValue, "return": given}
    return handler


def opened(payloads: Sequence[Any]) -> list[Any]:
    """The payloads' values; Unreadable in the place of those that can't be decoded."""
    return [_opened(payload) if isinstance(payload, RawValue) else payload for payload in payloads]


def _opened(raw: RawValue) -> Any:
    try:
        return workflow.payload_converter().from_payload(raw.payload)
    except Exception:  # noqa: BLE001 - whatever a stranger's bytes make a converter raise, they are unreadable
        encoding = raw.payload.metadata.get("encoding", b"no encoding").decode("ascii", "replace")[:40]
        return Unreadable(f"{len(raw.payload.data)} bytes said to be {encoding}")
