"""The gate as a person passes it in Temporal's own UI: found, read, decided, and told what was wrong."""

import json

import pytest
from playwright.async_api import expect

from runbook import names
from runbook.decision import EXAMPLES
from runbook.status import Outcome, Status
from tests.browser.conftest import Camera
from tests.browser.temporal_ui import TemporalUi
from tests.e2e.conftest import Play

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.timeout(300)]


async def test_a_release_is_found_read_and_approved_and_completes(play: Play, ui: TemporalUi, picture: Camera) -> None:
    await play.start()
    status = await play.at_gate()
    await ui.find_waiting("shop")
    await picture("ui-list", ui.page, height=330)
    board = await ui.open_board("shop")
    for words in (
        f"shop {play.version}: gate",
        status.digest,
        "Approvals: 0 of 1 (nobody yet); may approve: alice, bob, but not who asked for the release",
        "Verify the staged artifact by digest",
    ):
        await expect(board.locator("body")).to_contain_text(words)
    await picture("ui-board", ui.page)

    dialog = await ui.open_signal()
    description = await ui.choose(dialog, names.APPROVE)
    assert description == f"Authorize the digest on show: {EXAMPLES[names.APPROVE]}"
    await ui.paste(dialog, json.dumps({"by": "alice", "digest": status.digest}))
    await picture("ui-approve", dialog)
    await ui.submit(dialog)

    await ui.completed()
    ended = await play.ended()
    assert ended.outcome is Outcome.RELEASED, ended.summary
    board = await ui.look_again()
    await expect(board.locator("h1")).to_have_text(f"shop {play.version}: released")
    for host in play.house.facts.having("production"):
        assert await play.outside.answer(host) == f"v{play.version}"


async def test_a_rejection_with_its_comment_ends_the_release(play: Play, ui: TemporalUi) -> None:
    await play.start()
    status = await play.at_gate()
    before = [await play.outside.answer(host) for host in play.house.facts.having("production")]
    await ui.find_waiting("shop")
    await ui.open_board("shop")
    await ui.send(names.REJECT, json.dumps({"by": "bob", "digest": status.digest, "comment": "not before Monday"}))
    await ui.completed()
    ended = await play.ended()
    assert (ended.outcome, ended.summary) == (Outcome.REJECTED, "rejected by bob: not before Monday")
    board = await ui.look_again()
    await expect(board.locator("body")).to_contain_text("rejected by bob: not before Monday")
    assert [await play.outside.answer(host) for host in play.house.facts.having("production")] == before


async def test_a_wrong_digest_is_refused_and_the_page_says_why(play: Play, ui: TemporalUi, picture: Camera) -> None:
    await play.start()
    status = await play.at_gate()
    other = "sha256:" + "0" * 64
    await ui.find_waiting("shop")
    await ui.open_board("shop")
    await ui.send(names.APPROVE, json.dumps({"by": "alice", "digest": other}))
    await play.until(identified)
    board = await ui.look_again()
    refusal = board.get_by_text(f"{other} is not the digest on show, {status.digest}").first
    await expect(refusal).to_be_visible()
    await refusal.scroll_into_view_if_needed()
    await picture("ui-refused", ui.page)
    await expect(board.locator("h1")).to_have_text(f"shop {play.version}: gate")
    await ui.send(names.REJECT, json.dumps({"by": "alice", "digest": status.digest, "comment": "only a test"}))
    await ui.completed()
    assert (await play.ended()).outcome is Outcome.REJECTED


def identified(status: Status) -> bool:
    """A refusal is kept, and who sent it."""
    return status.gate is not None and any(refusal.sender for refusal in status.gate.refusals)


async def test_an_empty_box_harms_nothing_and_the_page_says_what_to_send(play: Play, ui: TemporalUi) -> None:
    await play.start()
    status = await play.at_gate()
    await ui.find_waiting("shop")
    await ui.open_board("shop")
    dialog = await ui.open_signal()
    await ui.choose(dialog, names.APPROVE)
    await ui.submit(dialog)
    await play.until(lambda status: any("came without an object" in message for message in status.messages))
    board = await ui.look_again()
    await expect(board.locator("body")).to_contain_text("not understood: approve: came without an object; send")
    await ui.send(names.APPROVE, json.dumps({"by": "alice", "digest": status.digest}))
    await ui.completed()
    assert (await play.ended()).outcome is Outcome.RELEASED
