import asyncio
from pathlib import Path

import pytest

from deploy.sandbox.forge import Flavour
from tests.deploy.sandbox.forging import QUICK, bench, eventually

QUIET = {**QUICK, "mode": "never_starts"}


@pytest.mark.parametrize(
    ("flavour", "message"), [("gitea-1.26", "Release is has no Tag"), ("forgejo-15", "Release has no Tag")]
)
async def test_a_second_release_of_a_tag_is_409(tmp_path: Path, flavour: Flavour, message: str) -> None:
    async with bench(tmp_path, flavour=flavour, pipeline=QUIET) as forge:
        await forge.shop.push_tag("1.0.0")
        body = {"tag_name": "v1.0.0", "name": "v1.0.0"}

        answers = await asyncio.gather(*(forge.client.post("/releases", json=body) for _ in range(3)))

        assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
        assert {answer.json()["message"] for answer in answers if answer.status_code == 409} == {message}
        assert len(await forge.get("/releases")) == 1


async def test_a_release_without_its_tag_makes_one_that_starts_a_run(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        made = await forge.client.post("/releases", json={"tag_name": "v1.0.0"})

        assert made.status_code == 201
        tag = await forge.get("/tags/v1.0.0")
        assert tag["id"] == tag["commit"]["sha"] == forge.sha

        async def runs() -> int:
            return int((await forge.get("/actions/runs"))["total_count"])

        assert await eventually(runs) == 1


async def test_an_unknown_target_is_404_and_a_protected_tag_422(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        body = {"tag_name": "v3", "target_commitish": "nowhere"}
        assert (await forge.client.post("/releases", json=body)).status_code == 404
        await forge.client.post("/tag_protections", json={"name_pattern": "v*"})

        refused = await forge.client.post("/releases", json={"tag_name": "v3"})

        assert (refused.status_code, refused.json()["message"]) == (
            422,
            "release tag name is protected [tag_name: v3]",
        )
        assert (await forge.client.get("/tags/v3")).status_code == 404


async def test_a_release_is_found_by_its_tag_in_any_case_and_a_tag_alone_is_none(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        await forge.shop.push_tag("1.0.0")
        assert (await forge.client.get("/releases/tags/v1.0.0")).status_code == 404
        await forge.client.post("/releases", json={"tag_name": "v1.0.0"})

        assert (await forge.get("/releases/tags/V1.0.0"))["tag_name"] == "v1.0.0"


async def test_a_change_ignores_empty_texts(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        release = (await forge.client.post("/releases", json={"tag_name": "v1", "body": "old", "draft": True})).json()

        changed = await forge.client.patch(f"/releases/{release['id']}", json={"body": "", "name": "n", "draft": False})

        assert (changed.json()["body"], changed.json()["name"], changed.json()["draft"]) == ("old", "n", False)
        assert (await forge.client.patch("/releases/99", json={})).status_code == 404
