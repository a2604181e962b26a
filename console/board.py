"""The board on a terminal: the whole status, or as much of it as fits."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from console.moments import clock, lasting
from runbook import names
from runbook.status import GateView, GivenDecision, Need, Outcome, Row, State, Status

_SIGNS = {
    State.WAITING: ("·", "dim"),
    State.RUNNING: ("▶", "cyan"),
    State.DONE: ("✔", "green"),
    State.FAILED: ("✘", "red"),
    State.NEEDS_PERSON: ("☎", "yellow"),
    State.STOPPED: ("■", "magenta"),
}
_SETTLED = {State.WAITING, State.DONE}
_SHOWN_MESSAGES = 5
_SHOWN_EVIDENCE = 10
_SHOWN_REFUSALS = 3


def board(status: Status, *, rows: int | None = None, live: bool = False) -> RenderableType:
    """`rows`: show at most so many steps, those where something happens first. `live`: nothing is wider than the screen."""
    return Group(*_parts(status, rows, wrapped=live))


def sign(row: Row) -> str:
    return _SIGNS[row.state][0]


def elapsed(row: Row) -> str:
    """How long the step took, or has been taking."""
    if row.started is None:
        return ""
    return lasting((row.finished or datetime.now(UTC)) - row.started)


def found(row: Row) -> str:
    """What is to be said of the row: its trouble before its finding."""
    return row.trouble or row.finding


def _parts(status: Status, rows: int | None, *, wrapped: bool) -> Iterator[RenderableType]:
    yield _headline(status)
    if status.rows:
        yield _steps(*_fitting(status.rows, rows))
    for row in status.rows:
        if row.trouble and row.evidence and row.state is not State.DONE:
            yield Panel(_lines(row.evidence[-_SHOWN_EVIDENCE:]), title=f"seen by {row.key}", border_style="red")
    for need in status.needs:
        yield _need(need)
        yield _commands(need.send, wrapped=wrapped)
    if status.gate is not None and status.gate.open:
        yield _gate(status.gate)
        yield _commands(status.gate.how_to, wrapped=wrapped)
    if status.messages:
        yield _lines([f"- {message}" for message in status.messages[-_SHOWN_MESSAGES:]])


def _headline(status: Status) -> Text:
    state = status.state.replace("_", " ")
    wished = Outcome.ROLLED_BACK if status.kind == "rollback" else Outcome.RELEASED
    good = status.outcome in {None, wished}
    text = Text(f"{status.kind} {status.subject}: ", style="bold")
    text.append(state, style="bold green" if good else "bold red")
    facts = [f"asked for by {status.requested_by}", f"since {clock(status.started)}"]
    facts += [f"because: {status.reason}"] if status.reason else []
    facts += [f"commit {status.commit[:12]}"] if status.commit else []
    text.append("\n" + ", ".join(facts), style="dim")
    for line in filter(None, (status.summary, status.digest, status.pause and f"⌛ {status.pause}")):
        text.append(f"\n{line}")
    return text


def _steps(shown: list[Row], note: str) -> Table:
    table = Table(box=None, padding=(0, 1), caption=note or None, caption_justify="left")
    for heading in ("", "step", "host", "time", "tries", "found"):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"", "time", "tries"})
    for row in shown:
        mark, style = _SIGNS[row.state]
        number = f"{row.number}. " if row.number else ""
        tries = str(row.attempts) if row.attempts > 1 else ""
        table.add_row(mark, number + row.title, row.host, elapsed(row), tries, Text(found(row)), style=style)
    return table


def _fitting(rows: list[Row], room: int | None) -> tuple[list[Row], str]:
    """At most `room` rows around the first that is neither waiting nor done, and what is said of the others."""
    if room is None or len(rows) <= room:
        return rows, ""
    active = next((i for i, row in enumerate(rows) if row.state not in _SETTLED), None)
    if active is None:
        active = next((i for i, row in enumerate(rows) if row.state is State.WAITING), len(rows))
    first = max(0, min(active - room // 3, len(rows) - room))
    hidden = Counter(row.state for row in [*rows[:first], *rows[first + room :]])
    return rows[first : first + room], "and " + ", ".join(f"{count} {state}" for state, count in hidden.items())


def _need(need: Need) -> Panel:
    lines = [f"{need.cause}: {need.what}", *([need.hint] if need.hint else [])]
    if need.until is not None:
        lines.append(f"Without an answer by {clock(need.until)} the release is aborted.")
    # What it can send is what it can do now: whether production was touched decides between `abort` and `roll-back`.
    able = [name.replace("_", "-") for name in names.SIGNALS if any(f" --name {name} " in line for line in need.send)]
    lines.append(f"Answer with {' or '.join(f'`{word}`' for word in able)}, or send one of:")
    where = f" on {need.host}" if need.host else ""
    return Panel(_lines(lines), title=f"☎ a person is needed: {need.step}{where}", border_style="yellow")


def _gate(gate: GateView) -> Panel:
    given = ", ".join(_given(approval) for approval in gate.approvals) or "nobody yet"
    own = "" if gate.requester_may_approve else ", but not who asked for the release"
    lines = [
        f"What will run: {gate.image}",
        f"Commit {gate.commit}",
        f"Approvals: {len(gate.approvals)} of {gate.needed} ({given}); may approve: {', '.join(gate.approvers)}{own}",
        f"Expires {clock(gate.expires)}",
        *(f"Policy: {line}" for line in gate.policy),
        *([f"Production may be changed: {gate.window}"] if gate.window else []),
        *(f"Refused: {each.kind} by {each.by}: {each.why}" for each in gate.refusals[-_SHOWN_REFUSALS:]),
        "Decide with `approve` or `reject`, or send one of:",
    ]
    return Panel(_lines(lines), title="⏸ the gate waits for people", border_style="yellow")


def _given(decision: GivenDecision) -> str:
    facts = [f"sent by {decision.sender}"] if decision.sender else []
    facts += [f"signed with {decision.key}"] if decision.key else []
    return f"{decision.by} ({', '.join(facts)})" if facts else decision.by


def _commands(commands: list[str], *, wrapped: bool) -> Text:
    """Outside the box, one a line: what wraps inside its border can't be copied."""
    return Text("\n".join(commands), no_wrap=not wrapped, overflow="fold" if wrapped else "ignore")


def _lines(lines: list[str]) -> Text:
    return Text("\n".join(lines))
