"""Logs: one stream, JSON or for a console, whoever writes; Temporal's own records flattened, secrets redacted."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import Processor
from temporalio import activity, workflow

from process.redaction import Redaction

_TALKATIVE = ("httpx", "httpcore", "asyncssh", "docker", "urllib3", "sqlalchemy", "apprise", "asyncio")
_FLAT = {
    "workflow_id": "workflow",
    "run_id": "run",
    "workflow_run_id": "run",
    "workflow_type": "workflow_type",
    "activity_type": "step",
    "attempt": "attempt",
}


def configure(form: Literal["console", "json"], level: str, redaction: Redaction, stream: TextIO | None = None) -> None:
    """Route structlog and the standard library's logging to `stream` (stderr); may be called again."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _flatten,
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redaction,
                *_rendered(form, colors=handler.stream.isatty()),
            ],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(capture=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    _quieten_temporal()


def _quieten_temporal() -> None:
    """The context travels as fields, not pasted into the text; handlers need what the sandbox forbids."""
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False
    workflow.logger.unsafe_disable_sandbox()


def _flatten(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for bundle in ("temporal_activity", "temporal_workflow"):
        held = cast("dict[str, Any]", event.pop(bundle, None) or {})
        for theirs, ours in _FLAT.items():
            if theirs in held:
                event.setdefault(ours, held[theirs])
    return event


def _rendered(form: Literal["console", "json"], *, colors: bool) -> list[Processor]:
    if form == "json":
        return [structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer(ensure_ascii=False)]
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]
