"""The board: the status as Markdown, for Temporal's UI, the `board` query and people in a hurry."""

import functools
from datetime import datetime

from runbook.status import GateView, GivenDecision, Need, RefusedDecision, Row, State, Status

_SIGNS = {
    State.WAITING: "·",
    State.RUNNING: "▶",
    State.DONE: "✔",
    State.FAILED: "✘",
    State.NEEDS_PERSON: "☎",
    State.STOPPED: "■",
}
_SHOWN_MESSAGES = 8
_SHOWN_NEEDS = 10
_SHOWN_REFUSALS = 5
_SHOWN_ROWS = 300
_SHOWN_CHARACTERS = 100_000
_MARKS = frozenset("#>-+*=~`")


def board(status: Status) -> str:
    """At most 100,000 characters of Markdown; what people must act on comes first."""
    parts = [_headline(status)]
    parts += [_need(need) for need in status.needs[:_SHOWN_NEEDS]]
    if len(status.needs) > _SHOWN_NEEDS:
        parts.append(f"… and {len(status.needs) - _SHOWN_NEEDS} more steps need a person.")
    if status.gate is not None:
        parts.append(_gate(status.gate))
    if status.rows:
        parts.append(_rows(status.rows))
    parts += _evidence(status.rows)
    if status.messages:
        parts.append(_messages(status))
    return _fitting("\n\n".join(parts) + "\n")


@functools.lru_cache(maxsize=4096)
def cell(text: str, most: int = 400) -> str:
    """One line of text that can't pass for markup of the board's own; the board is drawn anew at every change."""
    line = _line(text).strip().replace("```", "'''").replace("|", "\\|").replace("<", "&lt;")[:most]
    return f"\\{line}" if line[:1] in _MARKS else line


def _headline(status: Status) -> str:
    lines = [f"# {status.subject}: {status.state}"]
    if status.summary:
        lines.append(cell(status.summary, 1000))
    facts = [f"asked for by {status.requested_by}"]
    if status.reason:
        facts.append(f"because: {cell(status.reason)}")
    if status.commit:
        facts.append(f"commit `{status.commit[:12]}`")
    if status.digest:
        facts.append(f"digest `{status.digest}`")
    lines.append(", ".join(facts))
    if status.pause:
        lines.append(f"⌛ {cell(status.pause)}")
    return "\n\n".join(lines)


def _need(need: Need) -> str:
    where = f" on {need.host}" if need.host else ""
    lines = [f"## ☎ A person is needed: {need.step}{where}", f"{need.cause}: {cell(need.what, 1000)}"]
    if need.hint:
        lines.append(f"*{cell(need.hint)}*")
    if need.until:
        lines.append(f"Without an answer by {_time(need.until)} UTC the release is aborted.")
    lines.append("Send one of:")
    return "\n\n".join(lines) + "\n\n" + _code(need.send)


def _gate(gate: GateView) -> str:
    if not gate.open:
        return "\n\n".join([f"## Gate: closed\n\nApproved by: {_given(gate)}. Image `{gate.image}`.", *_refused(gate)])
    lines = [
        "## ⚑ Gate: production waits for people",
        f"What will run: `{gate.image}`",
        f"Commit `{gate.commit}`, plan `{gate.plan}`",
        f"Approvals: {len(gate.approvals)} of {gate.needed} ({_given(gate)}); may approve: {', '.join(gate.approvers)}"
        + ("" if gate.requester_may_approve else ", but not who asked for the release"),
        f"Expires {_time(gate.expires)} UTC; then the release is closed and nothing is promoted.",
    ]
    if gate.policy:
        lines.append("Policy:\n\n" + "\n".join(f"- {cell(line)}" for line in gate.policy))
    if gate.window:
        lines.append(f"Production may be changed: {cell(gate.window)}")
    lines += _refused(gate)
    lines += [cell(rehearsal) for rehearsal in gate.rehearsals]
    if gate.changelog:
        lines.append(
            "Changes:\n\n" + "\n".join(f"> {_quoted(line)}" for line in gate.changelog[:4000].splitlines()[:40])
        )
    lines.append("To decide, send the signal `approve` or `reject` with one JSON object:")
    return "\n\n".join(lines) + "\n\n" + _code([gate.payload, "", *gate.how_to] if gate.payload else gate.how_to)


def _given(gate: GateView) -> str:
    return ", ".join(map(_who, gate.approvals)) or "nobody yet"


def _who(given: GivenDecision) -> str:
    proofs = [f"signed with {given.key}"] if given.key else []
    proofs += [f"sent by {given.sender}"] if given.sender else []
    return cell(f"{given.by} ({', '.join(proofs)})" if proofs else given.by)


def _refused(gate: GateView) -> list[str]:
    if not gate.refusals:
        return []
    shown = gate.refusals[-_SHOWN_REFUSALS:]
    lines = [f"- {_time(each.at)} {cell(_refusal(each))}" for each in shown]
    return [f"Refused: {gate.refused}\n\n" + "\n".join(lines)]


def _refusal(refused: RefusedDecision) -> str:
    sender = f" (sent by {refused.sender})" if refused.sender else ""
    return f"{'⚠ ' if refused.suspicious else ''}{refused.kind} by {refused.by}{sender}: {refused.why}"


def _rows(rows: list[Row]) -> str:
    head = "| | step | host | tries | found |\n| --- | --- | --- | --- | --- |"
    more = f"\n\n… and {len(rows) - _SHOWN_ROWS} more rows" if len(rows) > _SHOWN_ROWS else ""
    return "\n".join([head, *(_row(row) for row in rows[:_SHOWN_ROWS])]) + more


def _row(row: Row) -> str:
    found = row.trouble or row.finding
    number = f"{row.number}. " if row.number.isdigit() else ""
    tries = str(row.attempts) if row.attempts > 1 else ""
    return f"| {_SIGNS[row.state]} | {number}{row.title} | {row.host} | {tries} | {cell(found)} |"


def _evidence(rows: list[Row]) -> list[str]:
    troubled = [row for row in rows if row.trouble and row.evidence]
    return [f"Seen by {row.key}:\n\n" + _code(row.evidence[-10:]) for row in troubled[:3]]


def _messages(status: Status) -> str:
    shown = status.messages[-_SHOWN_MESSAGES:]
    hidden = len(status.messages) - len(shown) + status.unheard
    more = f"\n- … and {hidden} earlier" if hidden else ""
    return "## Messages\n\n" + "\n".join(f"- {cell(message)}" for message in shown) + more


def _code(lines: list[str]) -> str:
    return "```\n" + "\n".join(_line(line).replace("```", "'''")[:1000] for line in lines) + "\n```"


def _quoted(line: str) -> str:
    return line.replace("```", "'''").replace("<", "&lt;")


def _line(text: str) -> str:
    return " ".join(text.splitlines())


def _fitting(text: str) -> str:
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return text[:_SHOWN_CHARACTERS].rpartition("\n")[0] + "\n\n… and more, see the query `status`\n"


def _time(moment: datetime) -> str:
    # strftime imports a module at each call, which in the SDK's sandbox takes long.
    return moment.replace(tzinfo=None).isoformat(" ", "seconds")
