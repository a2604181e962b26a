"""A pytest plugin for long runs: a failure is told when it happens, and a test that hangs ends the run.

pytest-timeout raises in the test, once; what then hangs in a fixture's end, or in a loop that waits for its tasks, would
hang for good. Here the process ends, after telling where each of its threads was, and pytest-xdist ends the run. (It could
start another process for the others, but then waits for tests that it gave to nobody.)
"""

import faulthandler
import os
import sys
from collections.abc import Generator

import pytest
from _pytest.terminal import TerminalReporter

# Seconds that a part of a test (its set-up, the test, its end) may take beyond the test's own time limit.
_GRACE = float(os.environ.get("WATCHED_GRACE", "60"))

# pytest captures what is written to standard error while a test runs; this is where it went before.
_stderr = os.dup(sys.__stderr__.fileno() if sys.__stderr__ else 2)


class Told:
    """Prints each failure at once: a run that is cut short has told of those before."""

    def __init__(self, terminal: TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._terminal.write_line("")
            self._terminal.write_line(f"{report.nodeid}, {report.when}, after {report.duration:.1f} s:", red=True)
            self._terminal.write_line(report.longreprtext)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(terminal, TerminalReporter) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Told(terminal))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    return (yield from _watched(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    return (yield from _watched(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    return (yield from _watched(item))


def _watched(item: pytest.Item) -> Generator[None]:
    mark = item.get_closest_marker("timeout")
    within = float(mark.args[0] if mark else item.config.getini("timeout") or 0)
    faulthandler.dump_traceback_later(within + _GRACE, exit=True, file=_stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
