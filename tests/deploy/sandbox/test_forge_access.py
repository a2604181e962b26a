import base64
from pathlib import Path

import httpx
import pytest

from deploy.sandbox.forge import Flavour
from deploy.sandbox.serving import PLAIN
from tests.deploy.sandbox.forging import API, NARROW, READER, STRANGER, TOKEN, bench


async def ask(url: str, path: str, authorization: str | None = None, method: str = "GET") -> httpx.Response:
    headers = {"Authorization": authorization} if authorization else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, verify=PLAIN) as client:
        return await client.request(method, path)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_every_way_to_send_a_token_opens_the_private_repository(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        ways = [f"token {TOKEN}", f"Token {TOKEN}", f"bearer {TOKEN}", basic("x", TOKEN), basic(TOKEN, "")]

        assert [(await ask(forge.url, API, way)).status_code for way in ways] == [200] * len(ways)
        assert (await ask(forge.url, API)).status_code == 404
        assert (await ask(forge.url, API, f"token {STRANGER.token}")).status_code == 404
        assert (await ask(forge.url, API + "x", f"token {TOKEN}")).json()["errors"] == []


async def test_on_an_old_forge_a_capital_token_is_nobody(tmp_path: Path) -> None:
    async with bench(tmp_path, flavour="gitea-1.23") as forge:
        assert (await ask(forge.url, API, f"Token {TOKEN}")).status_code == 404
        assert (await ask(forge.url, API, f"Bearer {TOKEN}")).status_code == 200


@pytest.mark.parametrize(
    ("flavour", "message"),
    [
        ("gitea-1.23", "user does not exist [uid: 0, name: ]"),
        ("gitea-1.26", "invalid username, password or token"),
    ],
)
async def test_a_wrong_token_is_401_even_where_nobody_is_welcome(
    tmp_path: Path, flavour: Flavour, message: str
) -> None:
    async with bench(tmp_path, flavour=flavour, private=False) as forge:
        answer = await ask(forge.url, API, "token wrong")

        assert answer.status_code == 401
        assert answer.json() == {"message": message, "url": f"{forge.url}/api/swagger"}
        assert (await ask(forge.url, API)).status_code == 200
        assert (await ask(forge.url, API + "/releases", method="POST")).json()["message"] == "token is required"
        assert (await ask(forge.url, "/api/v1/user")).status_code == 401


async def test_a_token_without_the_scope_is_403_and_names_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        narrow = f"token {NARROW.token}"
        refused = await ask(forge.url, API + "/releases", narrow, "POST")

        assert refused.status_code == 403
        assert "required=[write:repository], token scope=read:repository,write:issue" in refused.json()["message"]
        assert (await ask(forge.url, "/api/v1/user", narrow)).status_code == 403
        assert (await ask(forge.url, API + "/issues", narrow)).status_code == 200


async def test_a_reader_sees_its_rights_and_may_not_write(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        reader = f"token {READER.token}"

        rights = (await ask(forge.url, API, reader)).json()["permissions"]
        branch = (await ask(forge.url, API + "/branches/main", reader)).json()

        assert rights == {"admin": False, "push": False, "pull": True}
        assert branch["user_can_push"] is False
        assert (await ask(forge.url, API + "/tag_protections", reader)).status_code == 403


@pytest.mark.parametrize(("flavour", "version"), [("gitea-1.26", "1.26.3"), ("forgejo-15", "15.0.3+gitea-1.22.0")])
async def test_the_version_needs_no_token_and_forgejo_has_one_of_its_own(
    tmp_path: Path, flavour: Flavour, version: str
) -> None:
    async with bench(tmp_path, flavour=flavour) as forge:
        assert (await ask(forge.url, "/api/v1/version")).json() == {"version": version}
        own = await ask(forge.url, "/api/forgejo/v1/version")

        assert own.status_code == (200 if flavour == "forgejo-15" else 404)


async def test_pages_hold_at_most_fifty_and_tell_of_the_others(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        for number in range(52):
            forge.forge.store.add("label", "acme/shop", name=f"l{number}", color="ff0000", description="")

        first = await forge.client.get("/labels", params={"limit": "100"})
        usual = await forge.client.get("/labels")
        beyond = await forge.client.get("/labels", params={"page": "9"})
        second = await forge.client.get(first.links["next"]["url"])

        assert (len(first.json()), len(usual.json()), beyond.json()) == (50, 30, [])
        assert first.headers["X-Total-Count"] == "52"
        assert [label["name"] for label in second.json()] == ["l50", "l51"]
        assert "next" not in second.links
