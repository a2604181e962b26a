import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.sandbox.forging import QUICK, Bench, bench, eventually

COMPLETED = "completed"


async def newest(forge: Bench) -> Any:
    rows = (await forge.get("/actions/runs", event="push"))["workflow_runs"]
    return rows[0] if rows else None


async def concluded(forge: Bench) -> Any:
    run = await newest(forge)
    return run if run and run["status"] == COMPLETED else None


async def manifest(forge: Bench) -> str:
    return (await forge.client.get("/raw/manifest.txt", params={"ref": "artifacts"})).text


async def test_a_pushed_tag_becomes_a_run_an_image_and_a_line_of_the_manifest(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        await forge.shop.push_tag("1.0.0")
        run = await eventually(lambda: concluded(forge))

        assert (run["conclusion"], run["head_sha"]) == ("success", forge.sha)
        assert run["path"] == "release.yml@refs/tags/v1.0.0"
        assert "head_branch" not in run
        tags = forge.images.tags("acme/shop")
        assert tags == dict.fromkeys([forge.sha, "v1.0.0"], tags["v1.0.0"])
        assert await manifest(forge) == f"v1.0.0 digest: {tags['v1.0.0']}\n"
        image = forge.images.manifest("acme/shop", "v1.0.0")
        assert image is not None
        config = forge.images.blob("acme/shop", json.loads(image.body)["config"]["digest"])
        assert config is not None
        assert json.loads(config.read_bytes())["config"]["Labels"]["org.opencontainers.image.revision"] == forge.sha


async def test_a_run_reports_its_commit_status_and_a_task(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        await forge.shop.push_tag("1.0.0")
        await eventually(lambda: concluded(forge))

        combined = await forge.get(f"/commits/{forge.sha}/status")
        task = (await forge.get("/actions/tasks"))["workflow_runs"][0]

        states = {status["context"]: status["status"] for status in combined["statuses"]}
        assert states["release / build (push)"] == "success"
        assert (task["name"], task["head_branch"], task["event"]) == ("build", "v1.0.0", "push")
        log = (await forge.client.get("/actions/jobs/1/logs")).text
        assert "recorded v1.0.0 in manifest.txt" in log


async def test_the_push_returns_before_the_run_appears(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline={"appears_after": 0.3}) as forge:
        await forge.shop.push_tag("1.0.0")

        assert await newest(forge) is None
        assert await eventually(lambda: newest(forge))


@pytest.mark.parametrize(("fails", "ends"), [(1, "success"), (2, "failure")])
async def test_the_first_builds_fail_as_told_and_a_rerun_is_the_same_run(tmp_path: Path, fails: int, ends: str) -> None:
    async with bench(tmp_path, pipeline={"fail_first": fails}) as forge:
        await forge.shop.push_tag("1.0.0")
        first = await eventually(lambda: concluded(forge))

        assert first["conclusion"] == "failure"
        again = await forge.client.post(f"/actions/runs/{first['id']}/rerun")
        assert (again.status_code, again.json()["status"]) == (201, "queued")
        assert "conclusion" not in again.json()

        second = await eventually(lambda: concluded(forge))
        assert (second["id"], second["conclusion"]) == (first["id"], ends)
        tasks = (await forge.get("/actions/tasks"))["workflow_runs"]
        assert [task["status"] for task in tasks] == [ends, "failure"]


async def test_a_rerun_of_an_unfinished_run_is_400(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline={"takes": 30}) as forge:
        await forge.shop.push_tag("1.0.0")
        run = await eventually(lambda: newest(forge))

        refused = await forge.client.post(f"/actions/runs/{run['id']}/rerun")

        assert (refused.status_code, refused.json()["message"]) == (400, "this workflow run is not done")


async def test_a_rerun_of_failed_jobs_does_nothing_where_none_failed(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        await forge.shop.push_tag("1.0.0")
        run = await eventually(lambda: concluded(forge))

        answer = await forge.client.post(f"/actions/runs/{run['id']}/rerun-failed-jobs")

        assert (answer.status_code, answer.content) == (201, b"")
        assert (await newest(forge))["status"] == COMPLETED


async def test_no_run_appears_for_skip_ci_nor_for_a_tag_the_filter_does_not_know(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        await forge.client.post("/tags", json={"tag_name": "1.0.0"})
        await forge.shop.commit_version("1.1.0", note="[skip ci]")
        await forge.shop.push_tag("1.1.0")
        await forge.client.post("/tags", json={"tag_name": "v1.0.0", "target": forge.sha})

        run = await eventually(lambda: concluded(forge))

        # The last tag's run is there, so those of the first two would be.
        assert (run["path"], run["run_number"]) == ("release.yml@refs/tags/v1.0.0", 1)


async def test_a_pipeline_that_never_starts_makes_no_run_and_a_dispatch_makes_one_later(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline={"mode": "never_starts"}) as forge:
        await forge.shop.push_tag("1.0.0")
        await eventually(lambda: _no_push_left(forge))
        assert await newest(forge) is None

        forge.change_pipeline(mode="normal")
        started = await forge.client.post("/actions/workflows/release.yml/dispatches", json={"ref": "v1.0.0"})

        assert started.status_code == 204
        assert await eventually(lambda: _events(forge)) == ["workflow_dispatch"]


async def test_a_queued_run_has_no_task_until_a_runner_comes(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline={"mode": "stays_queued"}) as forge:
        await forge.shop.push_tag("1.0.0")
        run = await eventually(lambda: newest(forge))

        assert run["status"] == "queued"
        assert (await forge.get("/actions/tasks"))["workflow_runs"] == []
        assert (await forge.client.get("/actions/jobs/1/logs")).json()["message"] == "job not started"

        await forge.client.patch(f"{forge.url}/-/pipeline", json={"mode": "normal"})
        assert (await eventually(lambda: concluded(forge)))["conclusion"] == "success"


async def test_a_tag_pushed_again_cancels_the_run_under_way(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline={"takes": 30}) as forge:
        await forge.shop.push_tag("1.0.0")
        first = await eventually(lambda: newest(forge))
        forge.change_pipeline(takes=0.02)
        await forge.client.delete("/tags/v1.0.0")
        await forge.client.post("/tags", json={"tag_name": "v1.0.0", "target": forge.sha})

        second = await eventually(lambda: concluded(forge))

        assert second["run_number"] == 2
        assert (await forge.get(f"/actions/runs/{first['id']}"))["conclusion"] == "cancelled"


async def test_a_run_that_a_restart_interrupted_goes_on(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline={"takes": 30}) as forge:
        await forge.shop.push_tag("1.0.0")
        await eventually(lambda: _tasks(forge))
    async with bench(tmp_path, pipeline=QUICK) as forge:
        run = await eventually(lambda: concluded(forge))

        assert (run["id"], run["conclusion"]) == (1, "success")
        assert await _tasks(forge) == ["success", "cancelled"]


async def test_a_push_whose_run_had_not_appeared_before_a_restart_gets_it_after(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline={"appears_after": 30}) as forge:
        await forge.shop.push_tag("1.0.0")
    async with bench(tmp_path) as forge:
        assert (await eventually(lambda: concluded(forge)))["conclusion"] == "success"


async def test_a_registry_that_is_away_fails_the_build_and_says_so(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        forge.change_pipeline(registry="127.0.0.1:1")
        await forge.shop.push_tag("1.0.0")

        assert (await eventually(lambda: concluded(forge)))["conclusion"] == "failure"
        assert "error: All connection attempts failed" in (await forge.client.get("/actions/jobs/1/logs")).text


@pytest.mark.parametrize("differ", [False, True])
async def test_a_rebuild_has_another_digest_only_when_told_so(tmp_path: Path, differ: bool) -> None:
    async with bench(tmp_path, pipeline={"rebuilds_differ": differ}) as forge:
        await forge.shop.push_tag("1.0.0")
        run = await eventually(lambda: concluded(forge))
        before = await manifest(forge)
        await forge.client.post(f"/actions/runs/{run['id']}/rerun")
        await eventually(lambda: concluded(forge))

        after = await manifest(forge)

        assert (before != after) is differ
        assert len(after.splitlines()) == 1


async def test_two_versions_built_side_by_side_both_get_their_line(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        tags = ["v1.0.0", "v1.0.1", "v1.0.2"]
        await asyncio.gather(*(forge.client.post("/tags", json={"tag_name": tag}) for tag in tags))

        async def lines() -> list[str]:
            found = sorted(line.split()[0] for line in (await manifest(forge)).splitlines())
            return found if len(found) == 3 else []

        assert await eventually(lines) == tags


async def test_a_forgejo_run_is_found_by_its_whole_ref(tmp_path: Path) -> None:
    async with bench(tmp_path, flavour="forgejo-15") as forge:
        await forge.shop.push_tag("1.0.0")

        async def found() -> Any:
            return (await forge.get("/actions/runs", ref="refs/tags/v1.0.0", head_sha=forge.sha))["workflow_runs"]

        run = (await eventually(found))[0]

        assert (run["prettyref"], run["commit_sha"], run["workflow_id"]) == ("v1.0.0", forge.sha, "release.yml")
        assert (await forge.get("/actions/runs", ref="v1.0.0"))["workflow_runs"] == []
        assert (await forge.client.get("/actions/runs?status=done")).status_code == 400


async def test_a_gitea_run_is_not_found_by_branch_but_by_its_commit(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        await forge.shop.push_tag("1.0.0")
        await eventually(lambda: concluded(forge))

        assert (await forge.get("/actions/runs", branch="v1.0.0"))["workflow_runs"] == []
        assert len((await forge.get("/actions/runs", head_sha=forge.sha, event="push"))["workflow_runs"]) == 1
        assert len((await forge.get("/actions/runs", status="success"))["workflow_runs"]) == 1
        assert (await forge.client.get("/actions/runs?status=done")).status_code == 400


async def test_a_setting_the_pipeline_does_not_know_is_refused(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        address = forge.url + "/-/pipeline"

        assert (await forge.client.patch(address, json={"speed": 9})).status_code == 422
        assert (await forge.client.patch(address, json={"takes": 9})).json()["takes"] == 9
        assert "registry_password" not in (await forge.client.get(address)).json()


async def _no_push_left(forge: Bench) -> bool:
    return not forge.forge.store.all("push", "acme/shop")


async def _events(forge: Bench) -> list[str]:
    return [run["event"] for run in (await forge.get("/actions/runs"))["workflow_runs"]]


async def _tasks(forge: Bench) -> list[str]:
    return [task["status"] for task in (await forge.get("/actions/tasks"))["workflow_runs"]]
