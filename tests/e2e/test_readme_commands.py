"""The `temporal` commands as the README prints them, run as they stand; only version and digest are filled in."""

import itertools
import json

import pytest

from deploy.demo.house import temporal_command
from runbook import names
from runbook.status import Outcome
from tests.docs.pages import ROOT, commands
from tests.e2e.conftest import Play

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

README = [words[1:] for words in commands(ROOT / "README.md") if words[:2] == ["temporal", "workflow"]]


def printed(*first: str) -> list[str]:
    """The one command of the README that begins so."""
    [found] = [words for words in README if words[1 : len(first) + 1] == list(first)]
    return found


async def run(play: Play, words: list[str], digest: str = "") -> str:
    filled = [word.replace("1.4.0", play.version).replace("sha256:…", digest) for word in words]
    return await play.house.temporal([temporal_command(), *filled])


async def test_start_query_and_signal_take_a_release_to_its_end(play: Play) -> None:
    commit = await play.house.publish(play.version)
    assert names.lane("shop") in await run(play, printed("start"))
    status = await play.at_gate()
    query = list(itertools.takewhile(lambda word: word != "|", printed("query")))
    [board] = json.loads(await run(play, query))["queryResult"]
    assert printed("query")[len(query) :] == ["|", "jq", "--raw-output", ".queryResult[0]"]
    assert status.digest in board
    assert "production waits for people" in board
    await run(play, printed("signal"), status.digest)
    ended = await play.ended()
    assert ended.outcome is Outcome.RELEASED, ended.summary
    await play.assert_one_of_everything(commit)


async def test_the_update_is_answered_at_once_and_means_the_same(play: Play) -> None:
    await play.start()
    status = await play.at_gate()
    wrong = await run(play, printed("update", "execute"), "sha256:" + "0" * 64)
    assert "is not the digest on show" in wrong
    assert "promotion begins" in await run(play, printed("update", "execute"), status.digest)
    ended = await play.ended()
    assert ended.outcome is Outcome.RELEASED, ended.summary


async def test_what_the_board_prints_is_a_command_that_works(play: Play) -> None:
    """A person copies it from the page and puts the name in."""
    await play.start()
    status = await play.at_gate()
    assert status.gate is not None
    line = next(line for line in status.gate.how_to if f"--name {names.REJECT}" in line)
    assert line in await play.handle.query(names.BOARD)
    await play.house.temporal(["sh", "-c", line.replace("YOU", "bob")])
    assert (await play.ended()).outcome is Outcome.REJECTED
