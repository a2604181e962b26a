"""What is read back from the outside is all of it, however long a world has been up."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from deploy.demo.outside import Outside
from tests.deploy.sandbox.forging import TOKEN, Bench, bench

MORE_THAN_A_PAGE = 31


def outside(forge: Bench) -> Outside:
    facts = SimpleNamespace(url=forge.url, owner="acme", name="shop", token_env="FORGE_TOKEN")
    house: Any = SimpleNamespace(facts=SimpleNamespace(forge=facts), secret={"FORGE_TOKEN": TOKEN}.__getitem__)
    return Outside(house)


async def test_every_postmortem_is_found(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        label = (await forge.client.post("/labels", json={"name": "postmortem", "color": "#f00"})).json()
        await forge.client.post("/issues", json={"title": "no postmortem"})
        for number in range(MORE_THAN_A_PAGE):
            await forge.client.post("/issues", json={"title": f"{number}", "labels": [label["id"]]})

        found = await outside(forge).postmortems()

    assert {issue["title"] for issue in found} == {str(number) for number in range(MORE_THAN_A_PAGE)}
    assert len(found) == MORE_THAN_A_PAGE
