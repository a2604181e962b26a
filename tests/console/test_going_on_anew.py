"""A gate that went on in a new run, at the terminal: still one release, followed, decided and listed as one."""

import asyncio

import pytest

from console import begin, catalogue, decide, follow
from console.exit_status import ExitStatus
from runbook import names
from tests.operators import Operator
from tests.projects import DIGEST
from tests.workflows.brief_release import LONGEST, BriefRelease


@pytest.fixture
def brief(idle: Operator) -> Operator:
    idle.release = BriefRelease
    idle.crew.searchable = True
    return idle


async def test_it_is_followed_from_its_first_run_to_the_end(brief: Operator) -> None:
    async with brief.working():
        waiting = asyncio.create_task(
            brief.does(
                lambda: begin.release(brief.project, "1.4.0", commit=None, reason="", by="carol", wait=True), json=True
            )
        )
        await brief.until_the_gate()
        first, last = await until_anew(brief)
        watching = asyncio.create_task(brief.does(lambda: follow.watch(brief.project), json=True))
        listed = await brief.does(lambda: catalogue.runs(500), json=True)
        said = await brief.does(
            lambda: decide.judge(brief.project, names.APPROVE, digest=DIGEST, comment="", by="alice")
        )
        assert said.status == ExitStatus.GOOD, said.err
        for followed in (await waiting, await watching):
            assert followed.status == ExitStatus.GOOD, followed.err
            assert (followed.data["outcome"], followed.data["run_id"]) == ("released", last)
    mine = [entry for entry in listed.data if entry["project"] == brief.project]
    assert [(entry["run_id"], entry["needs_person"]) for entry in mine] == [(last, True)]
    assert first != last


async def until_anew(operator: Operator) -> tuple[str, str]:
    """Junk, until the gate is in another run than before; both."""
    handle = operator.client.get_workflow_handle(names.lane(operator.project))
    first = (await handle.describe()).run_id
    for _ in range(LONGEST):
        await handle.signal(names.APPROVE, {"by": "mallory", "digest": DIGEST})
        last = (await handle.describe()).run_id
        if last != first:
            return first, last
    raise AssertionError("it never went on in a new run")
