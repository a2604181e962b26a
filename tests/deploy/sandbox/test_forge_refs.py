from pathlib import Path

import pytest

from deploy.sandbox.forge import Flavour
from tests.deploy.sandbox.forging import QUICK, bench

QUIET = {**QUICK, "mode": "never_starts"}


async def test_an_annotated_tag_tells_its_own_sha_and_the_commits(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        await forge.shop.push_tag("1.0.0")

        tag = await forge.get("/tags/v1.0.0")
        told = await forge.get(f"/git/tags/{tag['id']}")

        assert tag["commit"]["sha"] == forge.sha != tag["id"]
        assert told["object"]["sha"] == forge.sha
        assert (await forge.client.get(f"/git/tags/{forge.sha}")).status_code == 400


async def test_a_lightweight_tag_is_its_commit_and_has_the_commits_message(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        made = await forge.client.post("/tags", json={"tag_name": "v2", "target": forge.sha})

        assert made.status_code == 201
        assert made.json()["id"] == made.json()["commit"]["sha"] == forge.sha
        assert made.json()["message"] == "Release 1.0.0\n"


async def test_a_tag_that_exists_is_409_and_one_without_a_target_404(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        body = {"tag_name": "v2"}

        statuses = [(await forge.client.post("/tags", json=body)).status_code for _ in range(2)]
        nowhere = await forge.client.post("/tags", json={"tag_name": "v3", "target": "nowhere"})

        assert statuses == [201, 409]
        assert nowhere.status_code == 404
        assert (await forge.client.post("/tags", json={})).json()["message"] == "[TagName]: Required"


async def test_refs_are_found_by_how_they_begin(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        for name in ("v1.2.0", "v1.2.1"):
            await forge.client.post("/tags", json={"tag_name": name})

        found = await forge.get("/git/refs/tags/v1.2")

        assert [ref["ref"] for ref in found] == ["refs/tags/v1.2.0", "refs/tags/v1.2.1"]
        assert (await forge.client.get("/git/refs/tags/v9")).status_code == 404


@pytest.mark.parametrize(("flavour", "exact"), [("gitea-1.23", False), ("gitea-1.26", True), ("forgejo-15", False)])
async def test_what_a_status_says_of_a_tags_name_depends_on_the_forge(
    tmp_path: Path, flavour: Flavour, exact: bool
) -> None:
    async with bench(tmp_path, flavour=flavour, pipeline=QUIET) as forge:
        await forge.shop.push_tag("1.0.0")

        by_name = await forge.get("/commits/v1.0.0/status")
        by_prefix = await forge.client.get("/commits/mai/status")
        unknown = await forge.client.get("/commits/nothing/status")

        # An older forge looks at the tag object, which has no status.
        assert by_name["state"] == ("success" if exact else "")
        assert by_prefix.status_code == (404 if exact else 200)
        assert unknown.status_code == (404 if exact else 200)


async def test_files_are_read_at_a_ref_and_missing_ones_are_404(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        raw = await forge.client.get("/raw/package.json", params={"ref": forge.sha})
        listed = await forge.get("/contents/app")

        assert raw.json()["version"] == "1.0.0"
        assert {entry["name"] for entry in listed} == {"service.py", "service.sh", "answer.sh"}
        assert (await forge.get("/contents/app/service.sh"))["encoding"] == "base64"
        for path in ("/raw/nothing", "/raw/package.json?ref=nowhere", "/contents/nothing"):
            assert (await forge.client.get(path)).status_code == 404


async def test_a_protected_branch_says_that_nobody_may_push(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        await forge.client.post("/branch_protections", json={"rule_name": "main"})

        branch = await forge.get("/branches/main")

        assert (branch["protected"], branch["user_can_push"]) == (True, False)
        await forge.client.delete("/branch_protections/main")
        assert (await forge.get("/branches/main"))["user_can_push"] is True
