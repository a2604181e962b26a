"""Orders are cut from the plan: each says exactly what the plan and the steps before it say."""

from datetime import UTC, datetime
from typing import Any

from runbook import steps
from runbook.artifact import ArtifactToVerify
from runbook.message import Order, ReleaseRef
from runbook.orders import Orders
from runbook.plan import Plan
from runbook.service import WayBack
from runbook.step import Step
from tests.projects import COMMIT, DIGEST, OLD_DIGEST, image, project

REF = ReleaseRef(
    project="shop", version="1.4.0", workflow_id="release-shop", release="run", epoch=1, requested_by="carol"
)
PROJECT = project(
    artifact={"credentials": {"user": "robot", "password": "env:PASSWORD"}},
    uat={"command": ["npm", "run", "uat"], "within": "3h", "environment": {"CI": "1"}},
    notify={"window": "Tuesdays 10-12"},
)
PLAN = Plan(version="1.4.0", commit=COMMIT, project=PROJECT, file_fingerprint="sha256:0")
ORDERS = Orders.of(REF, PLAN)


def test_everything_about_the_commit_is_about_the_plans_commit() -> None:
    orders: list[Any] = [
        ORDERS.commit_to_check(),
        ORDERS.changelog_to_read(),
        ORDERS.version_files_to_read(),
        ORDERS.uat(),
        ORDERS.commit_to_verify(),
        ORDERS.tag_to_push(),
        ORDERS.run_to_find(),
        ORDERS.run_to_await(7, "mark"),
        ORDERS.run_to_repeat(7, "mark"),
        ORDERS.artifact_to_verify(),
        ORDERS.image_to_scan(image()),
        ORDERS.smoke_test("staging-1"),
        ORDERS.release_to_record(image(), ["alice"], "- Faster", []),
    ]
    assert {order.commit for order in orders} == {COMMIT}
    assert {order.ref for order in orders} == {REF}
    assert all(order.project == PROJECT.project for order in orders)


def test_the_tag_is_the_versions() -> None:
    tag = ORDERS.tag_to_push()
    assert (tag.tag, tag.message) == ("v1.4.0", "v1.4.0")
    assert ORDERS.run_to_find().tag == ORDERS.release_to_record(image(), [], "", []).tag == "v1.4.0"


def test_the_commits_tag_is_looked_at_as_it_was_planned() -> None:
    orders = Orders.of(REF, PLAN.model_copy(update={"commit_tag": COMMIT}))
    assert orders.artifact_to_verify().commit_tag == COMMIT


def test_a_release_from_before_commits_had_tags_looks_at_none() -> None:
    """In its history neither plan nor order have the field, nor has the project's table the key."""
    plan, order = (each.model_dump(mode="json") for each in (PLAN, ORDERS.artifact_to_verify()))
    del plan["commit_tag"], plan["project"]["artifact"]["commit_tag"]
    del order["commit_tag"], order["artifact"]["commit_tag"]
    known = Plan.model_validate(plan)
    assert known.project.artifact.commit_tag == "{commit}"
    assert known.fingerprint == PLAN.fingerprint
    assert Orders.of(REF, known).artifact_to_verify().commit_tag == ""
    assert ArtifactToVerify.model_validate(order).commit_tag == ""


def test_a_run_is_repeated_only_where_it_ended_as_it_was_seen() -> None:
    order = ORDERS.run_to_repeat(7, "7/2")
    assert (order.run, order.after) == (7, "7/2")


def test_the_uat_is_the_projects_command_in_its_time() -> None:
    order = ORDERS.uat()
    assert order.words == ["npm", "run", "uat"]
    assert order.within.total_seconds() == 3 * 3600
    assert order.environment == {"CI": "1"}


def test_the_smoke_test_is_of_one_host_and_knows_what_the_service_must_say() -> None:
    order = ORDERS.smoke_test("staging-2")
    assert (order.host, order.target) == ("staging-2", "https://staging-2")
    assert (order.health_url, order.version_url) == ("https://staging-2/health", "https://staging-2/version")
    assert order.version == "1.4.0"


def test_what_is_staged_goes_to_staging_and_what_is_swapped_to_production() -> None:
    back = WayBack(host="production-1", digest=OLD_DIGEST, version="1.3.0")
    staged, swapped = ORDERS.image_to_stage("staging-1", image()), ORDERS.swap_to_make("production-1", image(), back)
    assert (staged.environment, staged.way_back) == (PROJECT.staging, None)
    assert (swapped.environment, swapped.way_back) == (PROJECT.production, back)
    assert staged.image.digest == swapped.image.digest == DIGEST
    assert staged.credentials == swapped.credentials == PROJECT.artifact.credentials
    assert ORDERS.image_to_pull("production-1", image()).environment == PROJECT.production


def test_the_soak_watches_all_of_production() -> None:
    order = ORDERS.soak_to_watch(image())
    assert (order.hosts, order.soak) == (PROJECT.production.hosts, PROJECT.production.soak)


def test_a_host_goes_back_to_its_own_way_and_names_whose_containers_are_in_it() -> None:
    back = WayBack(host="production-2", container_id="old", digest=OLD_DIGEST, version="1.3.0")
    order = ORDERS.host_to_put_back(back, "the-failed-run")
    assert (order.host, order.way_back, order.failed_release) == ("production-2", back, "the-failed-run")


def test_an_order_names_its_place() -> None:
    assert ORDERS.host_to_probe("staging-1").place == "staging-1"
    assert ORDERS.artifact_to_verify().place == "staging-1"
    assert ORDERS.commit_to_check().place == ""
    assert ORDERS.soak_to_watch(image()).place == ""


def test_on_call_is_told_who_releases_what_to_where_and_when() -> None:
    notice = ORDERS.on_call_notice()
    assert (notice.to, notice.key, notice.title) == ("on_call", "window", "shop 1.4.0: deployment window")
    assert notice.body.splitlines() == [
        "carol releases shop 1.4.0 to production-1, production-2, production-3. Tuesdays 10-12",
        "Production changes once people have approved at the gate; you are told again when it begins:",
        "- 1 approval of alice, bob, not by who asked for the release",
        "- expires after 1 d, reminders every 4 h",
    ]


def test_on_call_is_told_what_will_replace_what_when_production_begins_to_change() -> None:
    notice = ORDERS.promotion_notice(image(), ["alice", "bob"])
    assert (notice.to, notice.key, notice.title) == ("on_call", "promotion", "shop 1.4.0: production begins to change")
    hosts = "production-1, production-2, production-3"
    assert notice.body == f"{image().reference} replaces what runs on {hosts}, approved by alice, bob"


def test_no_order_carries_a_secret() -> None:
    for order in (ORDERS.image_to_pull("production-1", image()), ORDERS.commit_to_check(), ORDERS.on_call_notice()):
        text = order.model_dump_json()
        assert "env:" in text
        assert "s3cret" not in text


def test_every_order_is_of_the_type_that_its_step_declares() -> None:
    back = WayBack(host="production-1")
    orders: list[tuple[Step[Any, Any], Order]] = [
        (steps.CI_GREEN, ORDERS.commit_to_check()),
        (steps.CHANGELOG, ORDERS.changelog_to_read()),
        (steps.VERSION_BUMP, ORDERS.version_files_to_read()),
        (steps.UAT, ORDERS.uat()),
        (steps.STAGING_HEALTHY, ORDERS.host_to_probe("staging-1")),
        (steps.CREDENTIALS, ORDERS.credentials_to_prove()),
        (steps.ON_CALL, ORDERS.on_call_notice()),
        (steps.WAY_BACK, ORDERS.way_back_to_record("production-1")),
        (steps.HEALTH, ORDERS.health_to_verify("production-1", image(), "c")),
        (steps.PUT_BACK, ORDERS.host_to_put_back(back, "run")),
        (steps.POSTMORTEM, ORDERS.postmortem_to_open("why", [], [])),
        (steps.LOGS, ORDERS.logs_to_fetch("production-1", None)),
        (steps.WINDOW, ORDERS.window_to_check(datetime.now(UTC))),
        (steps.DRIFT, ORDERS.drift_to_find(image())),
    ]
    for step, order in orders:
        assert type(order) is step.order, step.name


def test_a_plan_has_another_fingerprint_when_anything_that_is_done_changes() -> None:
    changed = [
        PLAN.model_copy(update={"version": "1.4.1"}),
        PLAN.model_copy(update={"commit": "d" * 40}),
        PLAN.model_copy(update={"project": project()}),
    ]
    assert len({plan.fingerprint for plan in [PLAN, *changed]}) == 4
    assert PLAN.model_copy(update={"summary": "x", "ledger": "y"}).fingerprint == PLAN.fingerprint


def test_an_image_is_named_by_version_and_digest_together() -> None:
    named = image()
    assert named.reference == f"registry.example.net/acme/shop:v1.4.0@{DIGEST}"
    assert named.pinned == f"registry.example.net/acme/shop@{DIGEST}"
    assert ORDERS.image("1.3.0", OLD_DIGEST).reference == f"registry.example.net/acme/shop:v1.3.0@{OLD_DIGEST}"
