"""The plan of a drift check: the file, the ledger's records and what Temporal says of the lane."""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from activities.clients.lane import Holder
from activities.clients.ledger import Ledger
from activities.drift_check import DriftCheckActivities
from activities.errors import Refused
from activities.projects import Projects
from runbook.drift_check import DriftCheckPlan, DriftCheckToPlan
from runbook.message import ReleaseRef
from runbook.record import EntriesToKeep, Entry
from tests.activities.performing import perform
from tests.activities.test_projects import EXAMPLE
from tests.projects import DIGEST
from tests.workflows.findings import host_state_of

RELEASE = Holder("release-shop", "run-2", "ReleaseWorkflow")


@dataclass
class Lane:
    """A Temporal that says what holds the lane."""

    holding: list[Holder] = field(default_factory=list[Holder])

    async def holders(self, project: str) -> list[Holder]:
        return self.holding


@pytest.fixture
def ledger(tmp_path: Path) -> Generator[Ledger]:
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield made
    made.close()


def reference(run: str, workflow_id: str = "release-shop") -> ReleaseRef:
    return ReleaseRef(
        project="shop", version="1.4.0", workflow_id=workflow_id, release=run, epoch=1, requested_by="carol"
    )


async def kept(ledger: Ledger, run: str, action: str, outcome: str, **more: object) -> None:
    entry = Entry.model_validate(
        {"event": f"{run}/{action}/{outcome}", "actor": "worker", "action": action, "outcome": outcome, **more}
    )
    await ledger.keep(EntriesToKeep(ref=reference(run), entries=[entry]), [entry])


async def released(ledger: Ledger) -> None:
    lines = host_state_of("shop-1.example.net").lines
    await kept(ledger, "run-1", "record-host", "done", place="shop-1.example.net", evidence=lines)
    await kept(ledger, "run-1", "outcome", "released", digest=DIGEST)


async def planned(tmp_path: Path, ledger: Ledger, *holding: Holder, file: str = "shop") -> DriftCheckPlan:
    (tmp_path / f"{file}.toml").write_text(EXAMPLE)
    group = DriftCheckActivities(Projects(tmp_path), ledger, Lane([*holding]), lambda: True)
    return await perform(group.plan, DriftCheckToPlan(ref=reference("run-9", "drift-shop")))


async def test_what_the_last_release_left_is_what_is_compared_with(tmp_path: Path, ledger: Ledger) -> None:
    await released(ledger)
    plan = await planned(tmp_path, ledger)
    assert (plan.version, plan.digest, plan.under_way, plan.search_attributes) == ("1.4.0", DIGEST, "", True)
    [record] = plan.records
    assert (record.host, record.container_id) == ("shop-1.example.net", "new-shop-1.example.net")
    assert plan.recorded in plan.summary


async def test_where_nothing_was_released_there_is_nothing_to_compare_with(tmp_path: Path, ledger: Ledger) -> None:
    with pytest.raises(Refused, match=r"no release of shop is recorded in the ledger.*start shop VERSION"):
        await planned(tmp_path, ledger)


async def test_an_unknown_project_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    with pytest.raises(Refused, match="there is no project 'shop'"):
        await planned(tmp_path, ledger, file="library")


async def test_a_release_that_has_not_touched_production_hides_no_drift(tmp_path: Path, ledger: Ledger) -> None:
    await released(ledger)
    await kept(ledger, "run-2", "tag", "done")
    await kept(ledger, "run-2", "way-back", "refused")  # a message that called itself so, by an earlier version
    assert (await planned(tmp_path, ledger, RELEASE)).under_way == ""


async def test_a_release_that_recorded_its_ways_back_is_changing_production(tmp_path: Path, ledger: Ledger) -> None:
    await released(ledger)
    await kept(ledger, "run-2", "way-back", "done", place="shop-1.example.net")
    plan = await planned(tmp_path, ledger, RELEASE)
    assert plan.under_way == "a release is changing production as release-shop"


@pytest.mark.parametrize("workflow_id", ["release-shop", "release-shop-rollback"])
async def test_a_rollback_is_changing_production_from_its_start(
    tmp_path: Path, ledger: Ledger, workflow_id: str
) -> None:
    await released(ledger)
    plan = await planned(tmp_path, ledger, Holder(workflow_id, "run-3", "RollbackWorkflow"))
    assert plan.under_way == f"a rollback is under way as {workflow_id}"
