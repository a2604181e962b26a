"""The board on a terminal: everything that matters, whatever its size, and nothing that plays tricks."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from console.board import board
from console.moments import clock, lasting
from console.output import Output, plain
from runbook.status import GateView, Need, Outcome, Row, State, Status

NOW = datetime.now(UTC)


def status(rows: list[Row] | None = None, **fields: Any) -> Status:
    told = {"project": "shop", "version": "1.4.0", "requested_by": "carol", "workflow_id": "release-shop"}
    return Status.model_validate({**told, "run_id": "run-1", "started": NOW, "rows": rows or [], **fields})


def shown(what: Status, *, rows: int | None = None, width: int = 120, live: bool = False) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(board(what, rows=rows, live=live))
    return stream.getvalue()


def thirty(active: int) -> list[Row]:
    """Thirty steps: done before the active one, waiting after it."""
    states = [State.DONE] * active + [State.RUNNING] + [State.WAITING] * (29 - active)
    return [Row(name=f"step-{i}", title=f"Step {i}.", state=state) for i, state in enumerate(states)]


@pytest.mark.parametrize("active", [0, 3, 15, 28, 29])
def test_what_happens_now_is_shown_however_few_lines_there_are(active: int) -> None:
    text = shown(status(thirty(active)), rows=5)
    assert f"Step {active}." in text
    assert text.count("Step ") == 5
    assert "and " in text, "what is hidden is counted"


def test_a_failure_is_shown_before_what_waits() -> None:
    rows = thirty(2)
    rows[20] = rows[20].model_copy(update={"state": State.FAILED, "trouble": "disk full", "evidence": ["df -h"]})
    rows[2] = rows[2].model_copy(update={"state": State.DONE})
    text = shown(status(rows), rows=5)
    assert "disk full" in text
    assert "df -h" in text


def test_all_rows_are_shown_when_nothing_limits_them() -> None:
    assert shown(status(thirty(3))).count("Step ") == 30


def test_a_need_names_the_step_the_host_the_hint_and_what_to_send() -> None:
    need = Need(
        step="swap",
        host="production-1",
        cause="Unreachable",
        what="no route",
        hint="look at it",
        since=NOW,
        until=NOW + timedelta(hours=1),
        send=[
            "temporal workflow signal --name retry --input '{}'",
            "temporal workflow signal --name abort --input '{}'",
        ],
    )
    text = shown(status(needs=[need]))
    for part in ("swap on production-1", "Unreachable: no route", "look at it", "--name retry", clock(need.until)):
        assert part in text
    assert "Answer with `retry` or `abort`, or send one of:" in text
    assert "roll-back" not in text


@pytest.mark.parametrize("width", [40, 120])
def test_what_to_send_is_below_the_box_and_whole(width: int) -> None:
    command = (
        'temporal workflow signal --workflow-id release-shop --name roll_back --input \'{"by":"YOU"}\' ' + "x" * 90
    )
    need = Need(step="swap", cause="Unreachable", what="no route", since=NOW, send=[command])
    gate = GateView(
        image="i",
        digest="d",
        commit="c",
        plan="p",
        needed=1,
        approvers=["bob"],
        requester_may_approve=False,
        opened=NOW,
        expires=NOW,
        how_to=[command, command],
    )
    stream = io.StringIO()
    Output(out=Console(file=stream, width=width)).show(board(status(needs=[need], gate=gate)))
    lines = stream.getvalue().splitlines()
    assert lines.count(command) == 3
    assert any("`roll-back`" in line for line in lines)
    live = shown(status(needs=[need], gate=gate), width=width, live=True)
    assert max(map(len, live.splitlines())) <= width
    assert "".join(live.splitlines()).count(command) == 3


def test_an_ended_release_says_how_and_why() -> None:
    text = shown(status(outcome=Outcome.ROLLED_BACK, summary="health did not recover", stage="done"))
    assert "release shop 1.4.0: rolled back" in text
    assert "health did not recover" in text


def test_brackets_in_a_finding_are_text_and_no_markup() -> None:
    assert "[red]alarm[/red]" in shown(status([Row(name="tag", title="Tag", finding="[red]alarm[/red]")]))


def test_control_characters_of_others_do_not_reach_the_terminal() -> None:
    nasty = {"a": ["\x1b[2Jcleared", "bell\x07", "tab\tand\nline stay"], "b": "\x9b31m"}
    assert plain(nasty) == {"a": ["?[2Jcleared", "bell?", "tab\tand\nline stay"], "b": "?31m"}


def test_json_output_says_nothing_to_people() -> None:
    out = io.StringIO()
    output = Output(json=True, out=Console(file=out), err=Console(file=io.StringIO()))
    output.say("hello")
    output.show("a table")
    output.data({"when": NOW})
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().startswith('{"when": "2')


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (97200, "1 d 3 h")]
)
def test_lengths_of_time_are_said_in_two_units(seconds: float, said: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == said
