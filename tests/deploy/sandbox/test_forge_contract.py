"""Every answer of the forge has the types of the swagger file of the forge it plays."""

from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.forge import Flavour
from tests.deploy.sandbox.contracts import check
from tests.deploy.sandbox.forging import API, Bench, bench, eventually

FLAVOURS: list[Flavour] = ["gitea-1.23", "gitea-1.26", "forgejo-15"]


class Checked:
    """Asks and compares; the address is the template's, filled in."""

    def __init__(self, bench: Bench, flavour: Flavour) -> None:
        self.bench = bench
        self.flavour = flavour

    async def ask(self, operation: str, body: Any = None, query: dict[str, str] | None = None, **path: Any) -> Any:
        method, _, template = operation.partition(" ")
        filled = template.format(**path)
        url = f"{self.bench.url}{'/api/v1' + filled[1:] if filled.startswith('//') else API + filled}"
        answer = await self.bench.client.request(method, url, json=body, params=query)
        assert answer.status_code < 300, f"{method} {url}: {answer.status_code} {answer.text}"
        # The swagger of Gitea says 200 where its code says 201.
        status = 200 if operation == "POST /tags" and self.flavour.startswith("gitea") else answer.status_code
        check(self.flavour, operation, status, answer.json())
        return answer.json()


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_everything_but_actions_has_the_types_of_the_contract(tmp_path: Path, flavour: Flavour) -> None:
    async with bench(tmp_path, flavour=flavour, pipeline={"mode": "never_starts"}) as forge:
        ask = Checked(forge, flavour).ask
        await ask("GET //version")
        await ask("GET //settings/api")
        await ask("GET //user")
        assert (await ask("GET "))["permissions"] == {"admin": True, "push": True, "pull": True}
        await ask("GET /branches/{branch}", branch="main")
        tag = await ask("POST /tags", {"tag_name": "v1.0.0", "message": "v1.0.0"})
        await ask("GET /tags/{tag}", tag="v1.0.0")
        await ask("GET /tags")
        await ask("GET /git/tags/{sha}", sha=tag["id"])
        await ask("GET /git/refs/{ref}", ref="tags/v1")
        await ask("POST /statuses/{sha}", {"state": "success", "context": "x"}, sha=forge.sha)
        await ask("GET /commits/{ref}/status", ref=forge.sha)
        await ask("GET /commits/{ref}/statuses", ref=forge.sha)
        await ask("GET /contents/{filepath}", filepath="package.json")
        await ask("GET /contents/{filepath}", filepath="app")
        release = await ask("POST /releases", {"tag_name": "v1.0.0", "name": "v1.0.0", "body": "b"})
        await ask("GET /releases")
        await ask("GET /releases/tags/{tag}", tag="v1.0.0")
        await ask("PATCH /releases/{id}", {"body": "c"}, id=release["id"])
        label = await ask("POST /labels", {"name": "postmortem", "color": "#ff0000"})
        issue = await ask("POST /issues", {"title": "t", "labels": [label["id"]]})
        await ask("GET /issues")
        await ask("GET /issues/{index}", index=issue["number"])
        comment = await ask("POST /issues/{index}/comments", {"body": "x"}, index=issue["number"])
        await ask("GET /issues/{index}/comments", index=issue["number"])
        await ask("PATCH /issues/comments/{id}", {"body": "y"}, id=comment["id"])
        await ask("GET /labels")
        await ask("POST /branch_protections", {"rule_name": "main"})
        await ask("GET /branch_protections")
        await ask("POST /tag_protections", {"name_pattern": "v*"})
        await ask("GET /tag_protections")


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_actions_have_the_types_of_the_contract_and_nothing_the_flavour_lacks(
    tmp_path: Path, flavour: Flavour
) -> None:
    async with bench(tmp_path, flavour=flavour) as forge:
        ask = Checked(forge, flavour).ask

        async def finished() -> Any:
            rows = (await ask("GET /actions/tasks"))["workflow_runs"]
            return rows and rows[0]["status"] == "success"

        await forge.shop.push_tag("1.0.0")
        await eventually(finished)

        if flavour == "gitea-1.23":
            for path in ("runs", "runs/1", "runs/1/jobs", "jobs/1/logs"):
                assert (await forge.client.get(f"/actions/{path}")).status_code == 404
        elif flavour == "forgejo-15":
            await ask("GET /actions/runs")
            await ask("GET /actions/runs/{run_id}", run_id=1)
            assert (await forge.client.get("/actions/runs/1/jobs")).status_code == 404
            assert (await forge.client.post("/actions/runs/1/rerun")).status_code == 404
        else:
            await ask("GET /actions/runs")
            await ask("GET /actions/runs/{run}", run=1)
            await ask("GET /actions/runs/{run}/jobs", run=1)
            await ask("GET /actions/jobs/{job_id}", job_id=1)
            await eventually(lambda: _done(forge))
            await ask("POST /actions/runs/{run}/rerun", run=1)


async def _done(forge: Bench) -> bool:
    return bool((await forge.get("/actions/runs/1"))["status"] == "completed")
