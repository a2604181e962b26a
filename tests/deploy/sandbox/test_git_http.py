from pathlib import Path

import httpx
import pytest

from deploy.sandbox.faults import FaultRule
from deploy.sandbox.forge import Flavour
from deploy.sandbox.forge_git import GitFailed
from deploy.sandbox.serving import PLAIN
from deploy.sandbox.shop import Shop
from tests.deploy.sandbox.forging import QUICK, READER, bench, eventually

QUIET = {**QUICK, "mode": "never_starts"}


async def test_a_clone_has_what_was_pushed(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        await forge.shop.commit_version("1.1.0")
        other = Shop(tmp_path / "other", forge.url, READER.token)

        await other.create()

        assert '"version": "1.1.0"' in (other.folder / "package.json").read_text()
        assert (other.folder / ".gitea/workflows/release.yml").exists()


async def test_without_a_token_or_rights_git_is_turned_away(tmp_path: Path) -> None:
    async with (
        bench(tmp_path, pipeline=QUIET) as forge,
        httpx.AsyncClient(base_url=forge.url, trust_env=False, verify=PLAIN) as nobody,
    ):
        refs = await nobody.get("/acme/shop.git/info/refs", params={"service": "git-upload-pack"})
        assert refs.status_code == 401
        assert refs.headers["WWW-Authenticate"].startswith("Basic")
        assert (await nobody.get("/acme/shop.git/info/refs")).status_code == 404

        forge.shop._token = READER.token
        with pytest.raises(GitFailed, match="403"):
            await forge.shop.push_tag("1.0.0")
        forge.shop._token = "wrong"
        with pytest.raises(GitFailed, match=r"ended with 128: .*[Aa]uthentication failed|could not read"):
            await forge.shop.push_tag("1.0.1")


@pytest.mark.parametrize(("flavour", "brand"), [("gitea-1.26", "Gitea"), ("forgejo-15", "Forgejo")])
async def test_a_protected_tag_is_refused_in_the_forges_words(tmp_path: Path, flavour: Flavour, brand: str) -> None:
    async with bench(tmp_path, flavour=flavour, pipeline=QUIET) as forge:
        rule = (await forge.client.post("/tag_protections", json={"name_pattern": "v*"})).json()

        with pytest.raises(GitFailed) as refusal:
            await forge.shop.push_tag("1.0.0")

        assert "ended with 1:" in str(refusal.value)
        assert f"remote: {brand}: Tag v1.0.0 is protected" in str(refusal.value)
        assert "(pre-receive hook declined)" in str(refusal.value)
        await forge.client.delete(f"/tag_protections/{rule['id']}")
        await forge.shop._git("push", "--quiet", forge.shop._url, "refs/tags/v1.0.0")
        assert (await forge.get("/tags/v1.0.0"))["commit"]["sha"] == forge.sha


async def test_a_user_on_the_list_may_push_a_protected_tag(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        rule = {"name_pattern": "v*", "whitelist_usernames": ["release-bot"]}
        await forge.client.post("/tag_protections", json=rule)

        await forge.shop.push_tag("1.0.0")

        assert (await forge.client.get("/tags/v1.0.0")).status_code == 200


async def test_one_protected_ref_loses_every_ref_of_the_push(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        await forge.client.post("/branch_protections", json={"rule_name": "main"})
        shop = forge.shop
        await shop._git("commit", "--quiet", "--allow-empty", "--message", "More")
        await shop._git("tag", "v1.0.0")

        with pytest.raises(GitFailed, match="Not allowed to push to protected branch main"):
            await shop._git("push", shop._url, "HEAD:refs/heads/main", "refs/tags/v1.0.0")

        assert (await forge.client.get("/tags/v1.0.0")).status_code == 404


async def test_a_push_whose_answer_is_lost_has_taken_effect_and_its_run_appears(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        forge.faults.add(FaultRule(match="POST /acme/shop.git/git-receive-pack", kind="drop_after", times=1))

        with pytest.raises(GitFailed, match="ended with"):
            await forge.shop.push_tag("1.0.0")

        assert (await forge.get("/tags/v1.0.0"))["commit"]["sha"] == forge.sha

        async def runs() -> int:
            return int((await forge.get("/actions/runs"))["total_count"])

        assert await eventually(runs) == 1
