"""Whole releases, on a real Temporal server and the sandbox, with real worker and starter processes."""

import asyncio
import json
import re

import pytest

from runbook import names
from runbook.status import Outcome, Status
from tests.e2e.conftest import Play

pytestmark = pytest.mark.e2e


async def test_a_release_ends_with_one_of_everything_tells_what_users_missed_and_keeps_its_secrets(play: Play) -> None:
    commit = await play.start()
    await play.approve(await play.at_gate())
    status = await play.ended()
    assert status.outcome is Outcome.RELEASED, status.summary
    await play.assert_one_of_everything(commit)
    assert_the_image_is_of(commit, play)
    await assert_downtime_is_told(play, status)
    await assert_no_secret_is_in_history_ledger_or_log(play)


def assert_the_image_is_of(commit: str, play: Play) -> None:
    """By the commit's tag in the registry, as the ledger keeps it."""
    rows = [row for row in play.outside.ledger() if row["version"] == play.version]
    [verified] = [row for row in rows if row["action"] == "verify-artifact"]
    assert "by manifest, by registry, by commit and on " in verified["detail"]
    assert f"commit tag {commit}: sha256:" in verified["evidence"]


async def assert_downtime_is_told(play: Play, status: Status) -> None:
    """On the board and in the forge's release."""
    swaps = [row.finding for row in status.rows if row.name == "swap"]
    assert swaps
    assert all("requests failed" in found for found in swaps), swaps
    [release] = await play.outside.releases(play.version)
    assert "| Downtime |" in release["body"]


async def assert_no_secret_is_in_history_ledger_or_log(play: Play) -> None:
    history = json.dumps((await play.handle.fetch_history()).to_json_dict())
    database = b"".join(path.read_bytes() for path in play.outside.ledger_file().parent.glob("ledger*"))
    logs = b"".join(path.read_bytes() for path in play.house.logs.glob("worker*.log"))
    assert len(database) > 1000
    assert b"step done" in logs
    for secret in play.house.secret_values():
        assert len(secret) > 7
        assert secret not in history
        assert secret.encode() not in database
        assert secret.encode() not in logs


async def test_a_rehearsed_rollback_is_shown_at_the_gate(play: Play) -> None:
    file = play.house.facts.projects / "shop.toml"
    as_it_was = file.read_text()
    file.write_text(as_it_was.replace("[staging]\n", "[staging]\nrehearse_rollback = true\n", 1))
    try:
        await play.start()
        status = await play.at_gate()
    finally:
        file.write_text(as_it_was)
    assert status.gate is not None
    said = r"\S+: (rollback rehearsed, \d+\.\d s|nothing ran before, no rollback rehearsed)"
    hosts = [row.host for row in status.rows if row.name == "rehearse-rollback"]
    assert len(status.gate.rehearsals) == len(hosts) > 0
    assert all(re.fullmatch(said, told) for told in status.gate.rehearsals), status.gate.rehearsals
    assert status.gate.rehearsals[0] in await play.handle.query(names.BOARD)
    await play.house.starter("reject", "shop", "--comment", "only a test", "--digest", status.digest, "--as", "bob")
    assert (await play.ended()).outcome is Outcome.REJECTED


async def test_another_digest_does_not_pass_the_gate_and_the_board_says_why(play: Play) -> None:
    await play.start()
    status = await play.at_gate()
    other = "sha256:" + "0" * 64
    await play.approve(status.model_copy(update={"digest": other}))
    refused = await play.until(lambda seen: any("refused" in message for message in seen.messages))
    assert f"{other} is not the digest on show" in str(refused.messages)
    assert f"{other} is not the digest on show" in await play.handle.query(names.BOARD)
    assert refused.gate is not None
    assert refused.gate.open
    await play.house.starter("reject", "shop", "--comment", "only a test", "--digest", status.digest, "--as", "bob")
    assert (await play.ended()).outcome is Outcome.REJECTED


async def test_a_lane_that_is_held_says_who_holds_it_and_where_it_is(play: Play) -> None:
    await play.start()
    await play.at_gate()
    line = await play.refused("start", "shop", "9.9.9", "--as", "dave")
    assert play.version in line
    assert "carol" in line
    assert "gate" in line
    await play.house.starter("abort", "shop", "--reason", "only a test", "--as", "bob")
    assert (await play.ended()).outcome is Outcome.ABORTED


async def test_wait_follows_to_the_end_and_the_exit_status_says_the_outcome(play: Play) -> None:
    await play.house.publish(play.version)
    words = ("start", "shop", play.version, "--as", "carol", "--wait", "--json")
    waiting = asyncio.create_task(play.house.run_starter(*words))
    await play.until_started()
    status = await play.at_gate()
    await play.house.starter("reject", "shop", "--comment", "no", "--digest", status.digest, "--as", "alice")
    code, out, err = await waiting
    assert code == 3, out + err
    assert json.loads(out.strip().splitlines()[-1])["outcome"] == "rejected"
