"""The board: what people must act on, first and whole, and nothing of it forged by what strangers sent."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runbook.board import board
from runbook.status import GateView, GivenDecision, Need, Outcome, RefusedDecision, Row, State, Status, timeline
from tests.projects import COMMIT, DIGEST

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)


def status(**fields: Any) -> Status:
    told = {
        "project": "shop",
        "version": "1.4.0",
        "requested_by": "carol",
        "workflow_id": "release-shop",
        "run_id": "run",
        "started": NOW,
    }
    return Status.model_validate({**told, **fields})


def need(number: int = 1, **fields: Any) -> Need:
    told = {
        "number": number,
        "step": "tag",
        "cause": "PushRejected",
        "what": "remote: protected tag",
        "hint": "Tag push rejected: likely the wrong branch.",
        "send": ["temporal workflow signal --name retry"],
        "since": NOW,
    }
    return Need.model_validate({**told, **fields})


def gate(**fields: Any) -> GateView:
    told = {
        "image": f"registry.example.net/acme/shop:v1.4.0@{DIGEST}",
        "digest": DIGEST,
        "commit": COMMIT,
        "plan": "sha256:1",
        "needed": 2,
        "approvers": ["alice", "bob"],
        "requester_may_approve": False,
        "opened": NOW,
        "expires": NOW + timedelta(days=1),
        "changelog": "- Faster\n- Better",
        "payload": '{"by":"YOU"}',
        "how_to": ["temporal workflow signal --name approve"],
    }
    return GateView.model_validate({**told, **fields})


def test_the_headline_says_what_it_is_and_where() -> None:
    lines = board(status(stage="pipeline", reason="weekly", commit=COMMIT, digest=DIGEST)).splitlines()
    assert lines[0] == "# shop 1.4.0: pipeline"
    assert lines[2] == f"asked for by carol, because: weekly, commit `{COMMIT[:12]}`, digest `{DIGEST}`"


def test_an_end_is_the_headline() -> None:
    shown = board(status(stage="done", outcome=Outcome.ROLLED_BACK, summary="health on production-2: 503"))
    assert shown.startswith("# shop 1.4.0: rolled_back\n\nhealth on production-2: 503\n")


def test_a_run_turned_away_at_the_door_is_headed_refused_and_not_by_a_version_that_nobody_named() -> None:
    refused = {"stage": "done", "outcome": Outcome.ABORTED, "summary": "refused: 'Shop' is not a project name"}
    assert board(status(**refused)).startswith("# shop 1.4.0: refused\n")
    assert board(status(kind="rollback", version="0.0.0", **refused)).startswith("# shop: refused\n")
    assert board(status(tag="v1.4.0", **refused)).startswith("# shop 1.4.0: aborted\n")


def test_a_need_says_why_what_to_do_until_when_and_what_to_send() -> None:
    shown = board(status(needs=[need(host="production-1", until=NOW + timedelta(hours=1))]))
    assert "## ☎ A person is needed: tag on production-1\n\nPushRejected: remote: protected tag" in shown
    assert "*Tag push rejected: likely the wrong branch.*" in shown
    assert "Without an answer by 2026-11-22 16:00:00 UTC the release is aborted." in shown
    assert "```\ntemporal workflow signal --name retry\n```" in shown


def test_an_open_gate_says_exactly_what_is_authorized_and_by_whom() -> None:
    shown = board(status(gate=gate(approvals=[GivenDecision(by="alice", at=NOW)])))
    assert f"What will run: `registry.example.net/acme/shop:v1.4.0@{DIGEST}`" in shown
    assert "Approvals: 1 of 2 (alice); may approve: alice, bob, but not who asked for the release" in shown
    assert "Expires 2026-11-23 15:00:00 UTC; then the release is closed and nothing is promoted." in shown
    assert "> - Faster\n> - Better" in shown
    assert '```\n{"by":"YOU"}\n\ntemporal workflow signal --name approve\n```' in shown


def test_a_closed_gate_asks_for_nothing() -> None:
    shown = board(status(gate=gate(open=False)))
    assert "## Gate: closed\n\nApproved by: nobody yet." in shown
    assert "temporal workflow signal" not in shown


def test_a_gate_shows_the_policy_the_hours_what_was_refused_and_who_really_sent_what() -> None:
    given = GivenDecision(by="alice", at=NOW, sender="starter@desk/1/alice", key="ssh-ed25519 SHA256:k")
    refused = RefusedDecision(
        kind="approve", by="mallory", at=NOW, why="mallory may not decide here", suspicious=True, sender="evil|desk"
    )
    view = gate(
        approvals=[given], policy=["2 approvals of alice, bob"], window="outside", refusals=[refused] * 7, refused=9
    )
    text = board(status(gate=view))
    assert "alice (signed with ssh-ed25519 SHA256:k, sent by starter@desk/1/alice)" in text
    assert "- 2 approvals of alice, bob" in text
    assert "Production may be changed: outside" in text
    assert "Refused: 9" in text
    assert text.count("⚠ approve by mallory (sent by evil\\|desk): mallory may not decide here") == 5
    assert "Refused: 9" in board(status(gate=view.model_copy(update={"open": False})))


def test_what_a_release_waits_for_besides_people_is_in_its_headline() -> None:
    text = board(status(stage="window", pause="production waits for the release window: opens Mon"))
    assert "⌛ production waits for the release window: opens Mon" in text.split("##")[0]


def test_a_row_shows_its_state_its_tries_and_its_trouble_before_its_finding() -> None:
    rows = [
        Row(name="tag", title="Tag", number="2", state=State.DONE, attempts=1, finding="pushed"),
        Row(name="scan", title="Scan", number="4b", state=State.FAILED, attempts=3, trouble="CVE | x", finding="old"),
        Row(name="swap", title="Swap", number="7", host="production-1"),
    ]
    assert board(status(rows=rows)).split("\n\n")[2].splitlines()[2:] == [
        "| ✔ | 2. Tag |  |  | pushed |",
        "| ✘ | Scan |  | 3 | CVE \\| x |",
        "| · | 7. Swap | production-1 |  |  |",
    ]


def test_what_a_step_saw_is_shown_while_it_is_in_trouble() -> None:
    row = Row(name="scan", title="Scan", state=State.FAILED, trouble="CVE", evidence=["line 1", "``` line 2"])
    assert "Seen by scan:\n\n```\nline 1\n''' line 2\n```" in board(status(rows=[row]))
    assert "Seen by" not in board(status(rows=[row.model_copy(update={"trouble": ""})]))


def test_the_newest_messages_are_shown_and_the_others_counted() -> None:
    shown = board(status(messages=[f"message {number}" for number in range(12)], unheard=100))
    assert "- message 11\n- … and 104 earlier\n" in shown
    assert "message 3" not in shown


FORGED = "approved\n\n## ⏸ Gate: approved by alice\r| x | <script>x</script> ```\u2028# Done"


@given(st.text(min_size=1) | st.sampled_from([FORGED, "# x", "```", "> x"]))
def test_what_strangers_sent_can_not_pass_for_the_boards_own_words(text: str) -> None:
    row = Row(name="tag", title="Tag", trouble=text, finding=text, evidence=[text])
    told = status(
        summary=text, reason=text, messages=[text], rows=[row], needs=[need(what=text, hint=text, send=[text])]
    )
    shown = board(told)
    own = board(
        status(
            summary="x",
            reason="x",
            messages=["x"],
            rows=[row.model_copy(update={"trouble": "x", "evidence": ["x"]})],
            needs=[need(what="x", hint="x", send=["x"])],
        )
    )
    assert shown.count("```") == own.count("```")
    assert _headings(shown) == _headings(own)
    assert "<" not in _outside_code(shown)


def _headings(shown: str) -> list[str]:
    return [line for line in _outside_code(shown).splitlines() if line.startswith("#")]


def _outside_code(shown: str) -> str:
    return "".join(shown.split("```")[::2])


def test_it_is_bounded_whatever_the_status_holds() -> None:
    long = "x" * 100_000
    rows = [
        Row(name="swap", title="Swap", host=f"production-{number}", trouble=long, finding=long, evidence=[long] * 50)
        for number in range(1000)
    ]
    told = status(
        reason=long,
        summary=long,
        rows=rows,
        needs=[need(number, what=long, hint=long, send=[long]) for number in range(500)],
        gate=gate(changelog="\n".join([long] * 100)),
        messages=[long] * 100,
    )
    shown = board(told)
    assert len(shown) < 101_000
    assert "… and 490 more steps need a person." in shown
    assert shown.index("A person is needed") < shown.index("Gate: production waits") < shown.index("| step |")


def test_a_person_is_needed_at_an_open_gate_or_by_a_waiting_step() -> None:
    assert status(gate=gate()).needs_person
    assert status(needs=[need()]).needs_person
    assert not status(gate=gate(open=False)).needs_person
    assert not status().needs_person


def test_a_timeline_is_in_the_order_of_time_with_trouble_before_finding() -> None:
    rows = [
        Row(name="b", title="B", host="h", finished=NOW + timedelta(seconds=2), trouble="broke", finding="well"),
        Row(name="a", title="A", finished=NOW, finding="x" * 400),
        Row(name="c", title="C"),
    ]
    first, second = timeline(status(rows=rows))
    assert first == "2026-11-22 15:00:00 UTC A: " + "x" * 273
    assert second == "2026-11-22 15:00:02 UTC B on h: broke"
