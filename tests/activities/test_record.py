"""The record of a release and the postmortem of a failed one, on the sandbox's forge."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from activities.clients.forge import ForgeClient
from activities.clients.http import new_client
from activities.errors import Refused, Unreachable
from activities.record import RecordActivities
from deploy.sandbox.faults import FaultRule
from deploy.sandbox.forge import Flavour
from runbook.drift_check import DriftToComment, StandingDrift
from runbook.trouble import Cause
from tests.activities.clients.forges import FLAVOURS, REPO
from tests.activities.releasing import DIGEST, HEAD, Orders, reference
from tests.deploy.sandbox.forging import Bench, bench

QUIET = {"mode": "never_starts"}


class Ledger:
    def __init__(self) -> None:
        self.newest = HEAD

    async def head(self) -> str:
        return self.newest


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def records(ledger: Ledger) -> AsyncIterator[RecordActivities]:
    async with new_client() as http:
        yield RecordActivities(ForgeClient(http), ledger)


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[Bench]:
    """A forge with the tag and one issue."""
    async with bench(tmp_path, pipeline=QUIET) as made:
        await made.shop.push_tag("1.0.0", made.sha)
        (await made.client.post("/issues", json={"title": "Make checkout faster"})).raise_for_status()
        yield made


def orders(folder: Path, held: Bench, **changes: Any) -> Orders:
    return Orders(folder, held.url, held.sha, **{"related_issue": 1, **changes})


# ---- the release


async def test_the_release_tells_what_was_released_and_who_approved_it(
    tmp_path: Path, held: Bench, records: RecordActivities
) -> None:
    found = await records.record(orders(tmp_path, held).record())
    release = await held.get("/releases/tags/v1.0.0")
    assert (found.release, found.url) == (release["id"], release["html_url"])
    assert (release["name"], release["draft"], release["prerelease"]) == ("v1.0.0", False, False)
    assert release["body"].startswith("### Added\n\n- Carts\n")
    for line in (
        f"| Image | `registry.example.net/acme/shop:v1.0.0@{DIGEST}` |",
        f"| Digest | `{DIGEST}` |",
        f"| Commit | {held.sha} |",
        "| Approved by | bob, carol |",
        "| Requested by | alice |",
        "| Workflow | `release-shop`, run `run-1` |",
        f"| Ledger head | `{HEAD}` |",
    ):
        assert line in release["body"].splitlines()


async def test_the_release_says_how_long_each_host_was_away(
    tmp_path: Path, held: Bench, records: RecordActivities
) -> None:
    seen = ["production-1: none of 90 requests failed", "production-2: down for 0.31 s, 16 of 90 requests failed"]
    await records.record(orders(tmp_path, held).record(downtime=seen))
    release = await held.get("/releases/tags/v1.0.0")
    assert f"| Downtime | {seen[0]}; {seen[1]} |" in release["body"].splitlines()


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_recorded_again_there_is_one_release_and_one_comment(
    tmp_path: Path, records: RecordActivities, ledger: Ledger, flavour: Flavour
) -> None:
    async with bench(tmp_path, flavour=flavour, pipeline=QUIET) as held:
        await held.shop.push_tag("1.0.0", held.sha)
        (await held.client.post("/issues", json={"title": "Make checkout faster"})).raise_for_status()
        order = orders(tmp_path, held).record()
        first = await records.record(order)
        ledger.newest = "f" * 64
        again = await records.record(order)
        assert again.release == first.release
        [release] = await held.get("/releases")
        assert "f" * 64 in release["body"]
        [comment] = await held.get("/issues/1/comments")
        assert comment["body"] == (
            f"<!-- release-runbook released v1.0.0 -->\nReleased [v1.0.0]({first.url}): "
            f"`registry.example.net/acme/shop:v1.0.0@{DIGEST}`, approved by bob, carol."
        )


async def test_recorded_by_several_attempts_at_once_there_is_one_release(
    tmp_path: Path, held: Bench, records: RecordActivities
) -> None:
    order = orders(tmp_path, held, related_issue=None).record()
    found = await asyncio.gather(*(records.record(order) for _ in range(4)))
    assert len({recorded.release for recorded in found}) == 1
    assert len(await held.get("/releases")) == 1


@pytest.mark.parametrize("what", ["releases", "issues/1/comments"])
@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
async def test_cut_off_anywhere_the_next_attempt_completes_it(
    tmp_path: Path, held: Bench, records: RecordActivities, what: str, kind: str
) -> None:
    held.faults.add(FaultRule.model_validate({"match": f"POST {REPO}/{what}", "kind": kind, "times": 1}))
    order = orders(tmp_path, held).record()
    if kind == "drop_before":
        with pytest.raises(Unreachable):
            await records.record(order)
    await records.record(order)
    assert len(await held.get("/releases")) == 1
    assert len(await held.get("/issues/1/comments")) == 1


async def test_a_release_candidate_is_marked_as_one(tmp_path: Path, held: Bench, records: RecordActivities) -> None:
    await held.shop.push_tag("1.1.0-rc.1", held.sha)
    order = Orders(tmp_path, held.url, held.sha, "1.1.0-rc.1").record()
    await records.record(order)
    assert (await held.get("/releases/tags/v1.1.0-rc.1"))["prerelease"] is True


@pytest.mark.parametrize("number", [775, 1])
async def test_an_issue_that_takes_no_comment_does_not_undo_the_release(
    tmp_path: Path, held: Bench, records: RecordActivities, number: int
) -> None:
    held.faults.add(FaultRule(match=f"POST {REPO}/issues/1/comments", kind="status", status=403))
    found = await records.record(orders(tmp_path, held, related_issue=number).record())
    assert f"issue #{number} takes no comment" in found.summary
    assert len(await held.get("/releases")) == 1


async def test_without_a_related_issue_nothing_is_said(tmp_path: Path, held: Bench, records: RecordActivities) -> None:
    found = await records.record(orders(tmp_path, held, related_issue=None).record())
    assert found.summary == "release v1.0.0 is published"
    assert await held.get("/issues/1/comments") == []


async def test_a_tag_that_was_moved_since_is_not_recorded(
    tmp_path: Path, held: Bench, records: RecordActivities
) -> None:
    elsewhere = Orders(tmp_path, held.url, "a" * 40)
    with pytest.raises(Refused) as refused:
        await records.record(elsewhere.record())
    assert refused.value.cause is Cause.TAG_MOVED
    assert await held.get("/releases") == []


# ---- the postmortem


LINKS = {"runbook": "https://wiki.example.net/runbook", "incident_template": "https://wiki.example.net/incident"}


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_the_postmortem_is_opened_once_a_failed_release(
    tmp_path: Path, records: RecordActivities, flavour: Flavour
) -> None:
    async with bench(tmp_path, flavour=flavour, pipeline=QUIET) as held:
        order = orders(tmp_path, held, **LINKS).postmortem()
        first, again = await records.postmortem(order), await records.postmortem(order)
        other = await records.postmortem(order.model_copy(update={"ref": reference(release="run-2")}))
        assert first.issue == again.issue != other.issue
        assert again.summary == f"issue #{first.issue} was opened before"
        [_, issue] = await held.get("/issues", state="all")
        assert issue["title"] == "Postmortem: shop v1.0.0 was rolled back"
        assert [label["name"] for label in issue["labels"]] == ["postmortem"]
        assert issue["html_url"] == first.url


async def test_the_postmortem_links_what_its_writer_needs(
    tmp_path: Path, held: Bench, records: RecordActivities
) -> None:
    failed = reference(release="the-failed-run")
    order = orders(tmp_path, held, **LINKS).postmortem(
        failed=failed,
        reason="health | deadline\npassed",
        timeline=["10:00 swap", "10:05 put back"],
        evidence=["```", "502 <b>"],
    )
    found = await records.postmortem(order)
    lines = (await held.get(f"/issues/{found.issue}"))["body"].splitlines()
    for line in (
        "<!-- release-runbook postmortem run-1 -->",
        "shop v1.0.0 was rolled back: health | deadline passed",
        f"| Version | [v1.0.0]({held.url}/acme/shop/src/tag/v1.0.0) |",
        "| Release | `release-shop`, run `the-failed-run` |",
        "| Workflow | `release-shop-rollback`, run `run-1` |",
        "| Runbook | https://wiki.example.net/runbook |",
        "| Incident template | https://wiki.example.net/incident |",
        f"| Ledger head | `{HEAD}` |",
        "- 10:00 swap",
        "- 10:05 put back",
    ):
        assert line in lines
    fenced = lines[lines.index("````text") + 1 : lines.index("````")]
    assert fenced == ["```", "502 <b>"]


async def test_a_rollback_by_hand_is_told_by_the_version_it_went_to(
    tmp_path: Path, held: Bench, records: RecordActivities
) -> None:
    found = await records.postmortem(orders(tmp_path, held).postmortem(ref=reference(workflow_id="release-shop")))
    issue = await held.get(f"/issues/{found.issue}")
    assert issue["title"] == "Postmortem: shop was rolled back to v1.0.0"
    assert "shop was rolled back to v1.0.0: health deadline passed" in issue["body"]


async def test_a_postmortem_whose_answer_was_lost_is_found_again(
    tmp_path: Path, held: Bench, records: RecordActivities
) -> None:
    held.faults.add(FaultRule(match=f"POST {REPO}/issues", kind="drop_after", times=1))
    found = await records.postmortem(orders(tmp_path, held).postmortem())
    assert found.issue == 2
    assert len(await held.get("/issues", state="all")) == 2


async def test_the_related_issue_is_told_of_the_rollback_once(
    tmp_path: Path, held: Bench, records: RecordActivities
) -> None:
    order = orders(tmp_path, held, related_issue=1).postmortem()
    opened, _ = await records.postmortem(order), await records.postmortem(order)
    [comment] = await held.get("/issues/1/comments")
    assert f"Rolled back: v1.0.0 was rolled back. Postmortem: [#{opened.issue}]({opened.url})." in comment["body"]


# ---- drift

STANDING = StandingDrift(key="one/not-up/exited", host="one", what="container | shop is exited", since="yesterday")


def drift(tmp_path: Path, held: Bench, *standing: StandingDrift, number: int | None = 1) -> DriftToComment:
    given = orders(tmp_path, held, related_issue=number)
    ref = reference(workflow_id="drift-shop")
    return DriftToComment(
        ref=ref, project=given.project, forge=given.forge, recorded="yesterday", standing=list(standing)
    )


async def test_the_related_issue_has_one_comment_that_tells_how_the_drift_is_now(
    tmp_path: Path, held: Bench, records: RecordActivities
) -> None:
    for _ in range(2):
        found = await records.comment_drift(drift(tmp_path, held, STANDING))
    [comment] = await held.get("/issues/1/comments")
    assert found.url == comment["html_url"]
    assert "Drift of shop: production is no longer what v1.0.0 left, recorded yesterday" in comment["body"]
    assert "| one | yesterday | container \\| shop is exited |" in comment["body"]
    await records.comment_drift(drift(tmp_path, held))
    [comment] = await held.get("/issues/1/comments")
    assert "No more drift of shop: every host is what v1.0.0 left" in comment["body"]


async def test_drift_beside_a_release_is_a_comment_of_its_own(
    tmp_path: Path, held: Bench, records: RecordActivities
) -> None:
    await records.record(orders(tmp_path, held).record())
    await records.comment_drift(drift(tmp_path, held, STANDING))
    assert len(await held.get("/issues/1/comments")) == 2


@pytest.mark.parametrize(("number", "said"), [(None, "no related issue"), (404, "issue #404 takes no comment")])
async def test_drift_that_no_issue_takes_is_said_and_no_failure(
    tmp_path: Path, held: Bench, records: RecordActivities, number: int | None, said: str
) -> None:
    found = await records.comment_drift(drift(tmp_path, held, STANDING, number=number))
    assert said in found.summary
    assert found.url == ""
