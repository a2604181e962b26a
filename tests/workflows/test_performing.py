"""How long an attempt may last: as its step says, or as the project's file allows, with time to fetch the repository."""

from datetime import timedelta
from typing import Any

import pytest

from runbook import steps
from runbook.message import Order, ReleaseRef
from runbook.orders import Orders
from runbook.plan import Plan
from runbook.step import FETCH_WITHIN, Step
from tests.projects import COMMIT, image, project
from workflows.performing import limit_of

LONG = timedelta(hours=3)
PROJECT = project(
    artifact={"scan_within": "3h"},
    uat={"command": ["uat"], "within": "3h"},
    smoke_test={"command": ["smoke"], "within": "3h"},
)
PLAN = Plan(version="1.4.0", commit=COMMIT, project=PROJECT, file_fingerprint="sha256:0")
ORDERS = Orders.of(
    ReleaseRef(
        project="shop", version="1.4.0", workflow_id="release-shop", release="run", epoch=1, requested_by="carol"
    ),
    PLAN,
)
MIRRORED = [steps.CHANGELOG, steps.VERSION_BUMP, steps.VERIFY_COMMIT, steps.TAG, steps.VERIFY_ARTIFACT]


@pytest.mark.parametrize("step", MIRRORED, ids=lambda step: step.name)
def test_a_step_that_reads_the_repository_has_time_to_fetch_it_first(step: Step[Any, Any]) -> None:
    assert step.limit > FETCH_WITHIN


@pytest.mark.parametrize(
    ("step", "order"),
    [
        (steps.UAT, ORDERS.uat()),
        (steps.SCAN, ORDERS.image_to_scan(image())),
        (steps.SMOKE_TEST, ORDERS.smoke_test("staging-1")),
    ],
    ids=lambda given: given.name if isinstance(given, Step) else "",
)
def test_a_command_has_its_time_after_the_repository_was_fetched(step: Step[Any, Any], order: Order) -> None:
    assert limit_of(step, order) > FETCH_WITHIN + LONG
