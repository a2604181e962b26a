"""Temporal's native runtime: its log goes where ours goes, its metrics to Prometheus where that is wanted."""

import logging

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from process.settings import BadSettings

_CORE = "temporalio.core"
_FILTER = TelemetryFilter(core_level="WARN", other_level="ERROR")


def worker_runtime(metrics: str | None) -> Runtime:
    """`metrics` is `address:port` to serve Prometheus on. Raises BadSettings when that can't be listened on."""
    prometheus = metrics and PrometheusConfig(
        bind_address=metrics, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
    )
    forwarded = LoggingConfig(filter=_FILTER, forwarding=LogForwardingConfig(logger=logging.getLogger(_CORE)))
    try:
        return Runtime(telemetry=TelemetryConfig(logging=forwarded, metrics=prometheus or None))
    except (RuntimeError, ValueError) as error:
        raise BadSettings([f"RUNBOOK_METRICS: can't listen on {metrics}: {error}"]) from None


def silent_runtime() -> Runtime:
    """For a command line: what goes wrong is said once, by the command."""
    return Runtime(telemetry=TelemetryConfig(logging=None))
