"""The dashboard and the alarms, set beside what a real worker serves to Prometheus."""

import asyncio
import json
import re
import socket
import tempfile
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from activities.clients.ledger import Ledger
from deploy.ports import free_port
from runbook import names
from runbook.message import ReleaseRef
from runbook.record import EntriesToKeep, Entry
from tests.deploy.metrics import Sample, expressions, samples, unknown
from tests.deploy.running import DEPLOY, ROOT
from tests.programs import worker_process
from tests.projects import DIGEST, project_table
from tests.servers import TemporalServer
from tests.toml import as_toml

FOLDER = DEPLOY / "dashboards"
DASHBOARD = json.loads((FOLDER / "release-runbook.json").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))
CHECK = {"project": "shop", "requested_by": "carol"}
ORDER = {**CHECK, "version": "1.4.0"}
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


class ImpatientServer(TemporalServer):
    """A poll that finds nothing comes back after a second instead of a minute."""

    def _command(self) -> list[str]:
        return [*super()._command(), "--dynamic-config-value", 'matching.longPollExpirationInterval="1s"']


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Sample]]:
    """All that a worker serves after it has lived through what an operator wants to see."""
    with tempfile.TemporaryDirectory(prefix="temporal-") as folder:
        server = ImpatientServer(Path(folder))
        server.start()
        try:
            yield asyncio.run(lived(server, tmp_path_factory.mktemp("worker")))
        finally:
            server.kill()


async def lived(server: TemporalServer, folder: Path) -> list[Sample]:
    address = f"127.0.0.1:{free_port()}"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        await released(folder)
        hanging_project(folder, f"http://127.0.0.1:{silent.getsockname()[1]}/acme/shop.git")
        variables = {"RUNBOOK_METRICS": address, "SECRET": "opensesame", **server.environment}
        async with worker_process(folder, **variables) as worker, httpx.AsyncClient(trust_env=False) as http:

            async def served() -> list[Sample]:
                return samples((await http.get(f"http://{address}/metrics")).text)

            await worker.until("worker ready")
            await live(await server.connect())
            await until(served, "runbook_needs_person")
            for name in ("request_failure", "workflow_task_execution_failed", "workflow_task_queue_poll_empty"):
                await until(served, f"temporal_{name}_total")
            server.kill()
            return await until(served, "temporal_long_request_failure_total")


async def released(folder: Path) -> None:
    """What the ledger knows, so that a drift check has something to compare with."""
    (folder / "state").mkdir()
    ledger = Ledger(f"sqlite:///{folder / 'state' / 'ledger.db'}")
    ref = ReleaseRef(
        project="shop", version="1.3.0", workflow_id="release-shop", release="r", epoch=1, requested_by="carol"
    )
    entry = Entry(event="r/outcome", actor="worker", action="outcome", outcome="released", digest=DIGEST)
    await ledger.keep(EntriesToKeep(ref=ref, entries=[entry]), [entry])
    ledger.close()


def hanging_project(folder: Path, repository: str) -> None:
    """`shop`, whose planning waits for a repository that never answers."""
    table = project_table()
    table["project"]["repository"] = repository
    table["forge"]["token"] = "env:SECRET"
    (folder / "projects").mkdir()
    (folder / "projects" / "shop.toml").write_text(as_toml(table) or "")


async def live(client: Client) -> None:
    """A run of unknown code, a drift check, a release that is refused, and one that ends behind its step's back."""
    await client.start_workflow("Unknown", id="unknown", task_queue=names.TASK_QUEUE)
    checked = await started(client, names.DRIFT_WORKFLOW, names.drift_check("shop"), CHECK)
    assert (await checked.result())["verdict"] == "unknown"
    refused = await started(client, names.RELEASE_WORKFLOW, names.lane("else"), {**ORDER, "project": "else"})
    with pytest.raises(WorkflowFailureError):
        await refused.result()
    terminated = await started(client, names.RELEASE_WORKFLOW, names.lane("shop"), ORDER)
    await heard(terminated)
    await terminated.terminate()


async def started(client: Client, kind: str, identity: str, order: dict[str, str]) -> WorkflowHandle[Any, Any]:
    return await client.start_workflow(kind, order, id=identity, task_queue=names.TASK_QUEUE)


async def heard(handle: WorkflowHandle[Any, Any]) -> None:
    """Until a heartbeat of its step has been."""
    async with asyncio.timeout(30):
        while True:
            steps = (await handle.describe()).raw_description.pending_activities
            if any(step.HasField("last_heartbeat_time") for step in steps):
                return
            await asyncio.sleep(0.1)


async def until(served: Callable[[], Awaitable[list[Sample]]], name: str) -> list[Sample]:
    async with asyncio.timeout(60):
        while True:
            found = await served()
            if name in {each.name for each in found}:
                return found
            await asyncio.sleep(0.2)


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = DASHBOARD["panels"]
    return found


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_shows_only_what_a_worker_serves(panel: dict[str, Any], exported: list[Sample]) -> None:
    asked = list(expressions(panel))
    assert asked
    assert [fault for expression in asked for fault in unknown(expression, exported)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alarm_looks_only_at_what_a_worker_serves(rule: dict[str, Any], exported: list[Sample]) -> None:
    assert list(unknown(rule["expr"], exported)) == []
    meant = {label for text in rule["annotations"].values() for label in re.findall(r"\$labels\.(\w+)", text)}
    grouped = re.search(r"by \(([^)]*)\)", rule["expr"])
    assert meant <= {label.strip() for label in grouped[1].split(",")} if grouped else meant == set()


def test_what_no_worker_serves_is_found() -> None:
    exported = samples('temporal_num_pollers{poller_type="workflow_task",task_queue="q"} 5\n')
    assert list(unknown('sum by (task_queue) (temporal_num_pollers{task_queue=~"$task_queue"})', exported)) == []
    assert list(unknown("temporal_num_poller", exported)) == ["temporal_num_poller"]
    assert list(unknown('temporal_num_pollers{poller_type="nexus"}', exported)) == [
        'temporal_num_pollers{poller_type="nexus"}'
    ]
    assert list(unknown("sum by (project) (temporal_num_pollers)", exported)) == ["project"]


def test_the_panels_are_told_apart_and_none_covers_another() -> None:
    assert len({panel["id"] for panel in panels()}) == len({panel["title"] for panel in panels()}) == len(panels())
    cells = [cell for panel in panels() for cell in covered(panel["gridPos"])]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)


def covered(at: dict[str, int]) -> list[tuple[int, int]]:
    return [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]


def test_the_dashboard_asks_whichever_prometheus_is_chosen_and_knows_its_variables() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD)))
    assert used - {"__all", "__rate_interval"} == variables
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}


def test_every_alarm_says_what_is_wrong_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}


def test_the_page_has_every_alarm_and_no_other() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(ReleaseRunbook\w+)`", page)) == {rule["alert"] for rule in RULES}
