"""Ways to show a run while it goes on: a live board, a line for each change, or JSON."""

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from rich.live import Live
from rich.text import Text

from console.board import board, found, sign
from console.lane import doing
from console.moments import clock
from console.output import Output
from runbook.status import Row, State, Status

_AROUND = 16


class View(Protocol):
    """Told of the status again and again; `silent` says since when nobody answers, in a line."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, status: Status) -> None: ...
    def silent(self, why: str) -> None: ...


def view_for(output: Output) -> View:
    if output.json:
        return JsonLines(output)
    return LiveBoard(output) if output.out.is_terminal else Changes(output)


class _Quiet:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class LiveBoard:
    """The board in place, redrawn; it stays on the screen when the block ends."""

    def __init__(self, output: Output) -> None:
        self._console = output.out
        self._live = Live(console=output.out, auto_refresh=False)
        self._last: Status | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._last is not None:
            self._live.update(board(self._last, live=True), refresh=True)
        self._live.stop()

    def show(self, status: Status) -> None:
        self._last = status
        self._live.update(board(status, rows=max(5, self._console.height - _AROUND), live=True), refresh=True)

    def silent(self, why: str) -> None:
        self._live.update(Text(why, style="yellow"), refresh=True)


class Changes(_Quiet):
    """One line for each step that began, ended or needs somebody: for a log file or a pipe."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._seen: dict[str, tuple[State, int]] = {}
        self._said: set[str] = set()
        self._messages = 0

    def show(self, status: Status) -> None:
        for row in status.rows:
            if row.state is not State.WAITING and self._seen.get(row.key) != (row.state, row.attempts):
                self._seen[row.key] = (row.state, row.attempts)
                self._output.say(_line(row))
        for line in (*_asks(status), *self._fresh(status)):
            if line not in self._said:
                self._said.add(line)
                self._output.say(line)

    def silent(self, why: str) -> None:
        if why not in self._said:
            self._said.add(why)
            self._output.remark(why)

    def _fresh(self, status: Status) -> list[str]:
        total = len(status.messages) + status.unheard
        fresh = status.messages[len(status.messages) - (total - self._messages) :] if total > self._messages else []
        self._messages = total
        return [f"- {message}" for message in fresh]


class JsonLines(_Quiet):
    """The whole status as one line of JSON whenever it changed."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._last = ""

    def show(self, status: Status) -> None:
        now = status.model_dump_json()
        if now != self._last:
            self._last = now
            self._output.data(status.model_dump(mode="json"))

    def silent(self, why: str) -> None:
        if why != self._last:
            self._last = why
            self._output.remark(why)


def _line(row: Row) -> str:
    where = f" on {row.host}" if row.host else ""
    said = f": {found(row)}" if found(row) else ""
    tries = f" (attempt {row.attempts})" if row.attempts > 1 else ""
    return f"{clock(row.finished or row.started)} {sign(row)} {row.title}{where}{tries}{said}"


def _asks(status: Status) -> Iterator[str]:
    """What people are asked to do, with the exact words to do it."""
    for need in status.needs:
        yield "\n".join([f"☎ {need.step} needs a person: {need.what}", *need.send])
    if status.gate is not None and status.gate.open:
        given = len(status.gate.approvals)
        head = f"⏸ {doing(status)}: {given} of {status.gate.needed} approvals for {status.gate.image}"
        yield "\n".join([head, *status.gate.how_to])
