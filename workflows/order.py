"""The order of a run, read by hand: whatever a run was started with is an order, or refused in one line."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from runbook.decision import Unreadable
from runbook.message import NO_VERSION, ReleaseRef
from workflows.payload import opened

ModelT = TypeVar("ModelT", bound=BaseModel)

_REFUSED = "OrderRefused"
_NAMELESS = {"project": "unknown", "version": NO_VERSION, "requested_by": "unknown"}


def reference(payloads: Sequence[Any]) -> ReleaseRef:
    """Who is asked to do what, as far as the payload of a start tells: a run has a status even if it is refused."""
    info = workflow.info()
    told = _fields(opened(payloads)[:1])
    if info.parent is not None:
        told |= _fields([told.get("failed")])
    known = {name: told.get(name) or nameless for name, nameless in _NAMELESS.items()}
    rest = {"workflow_id": info.workflow_id, "release": info.run_id, "epoch": int(info.start_time.timestamp() * 1000)}
    for fields in (known, {**known, "version": NO_VERSION}, _NAMELESS):
        try:
            return ReleaseRef.model_validate({**fields, **rest})
        except ValidationError:
            continue
    raise AssertionError("the nameless reference is valid")


def read_order(model: type[ModelT], payloads: Sequence[Any], *, strict: bool = True) -> ModelT:
    """The order; `strict` refuses unknown fields, so that a misspelt one is not silently left out."""
    if len(payloads) != 1:
        raise refused(f"it is started with one JSON object {_shape(model)}, not with {len(payloads)} values")
    payload = opened(payloads)[0]
    if isinstance(payload, Unreadable):
        raise refused(f"it is started with one JSON object {_shape(model)}, not with {payload.what}")
    if not isinstance(payload, dict):
        raise refused(f"it is started with one JSON object {_shape(model)}, not with {_kind(payload)}")
    unknown = [name[:60] for name in _fields([payload]) if name not in model.model_fields]
    if unknown and strict:
        raise refused(f"the order has no field {', '.join(unknown[:3])!r}: it is one JSON object {_shape(model)}")
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'order'}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        raise refused("; ".join(faults[:5])) from None


def refused(why: str) -> ApplicationError:
    """The run ends at the door: nothing was started."""
    return ApplicationError(" ".join(why.split())[:1000], type=_REFUSED, non_retryable=True)


def same_lane(workflow_id: str, lane: str) -> None:
    """Refuse a run outside its project's lane, where two changes of one production could overlap."""
    if workflow_id != lane:
        raise refused(f"workflow ID {workflow_id!r} is not the project's lane: start it with workflow ID {lane!r}")


def _fields(values: Sequence[Any]) -> dict[str, Any]:
    return dict(cast("dict[str, Any]", values[0])) if values and isinstance(values[0], dict) else {}


def _shape(model: type[BaseModel]) -> str:
    return "with " + ", ".join(
        name if field.is_required() else f"{name} (optional)" for name, field in model.model_fields.items()
    )


def _kind(payload: Any) -> str:
    match payload:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "a number"
