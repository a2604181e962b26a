from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.forge import Flavour
from tests.deploy.sandbox.forging import Bench, bench


async def report(forge: Bench, *states: str) -> Any:
    for number, state in enumerate(states):
        body = {"state": state, "context": f"check {number}"}
        assert (await forge.client.post(f"/statuses/{forge.sha}", json=body)).status_code == 201
    return await forge.get(f"/commits/{forge.sha}/status")


async def test_the_newest_status_of_a_context_counts(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        assert (await report(forge, "pending"))["state"] == "pending"
        assert (await report(forge, "success"))["state"] == "success"

        rows = await forge.get(f"/commits/{forge.sha}/statuses")

        assert [row["status"] for row in rows[:2]] == ["success", "pending"]


@pytest.mark.parametrize(
    ("flavour", "states", "combined"),
    [
        ("gitea-1.23", ("warning", "pending"), "warning"),
        ("gitea-1.23", ("error", "success"), "failure"),
        ("gitea-1.26", ("warning", "pending"), "failure"),
        ("gitea-1.26", ("success", "pending"), "pending"),
    ],
)
async def test_states_are_combined_the_way_of_the_flavour(
    tmp_path: Path, flavour: Flavour, states: tuple[str, ...], combined: str
) -> None:
    async with bench(tmp_path, flavour=flavour) as forge:
        assert (await report(forge, *states))["state"] == combined


@pytest.mark.parametrize(("flavour", "state"), [("gitea-1.23", ""), ("gitea-1.26", "pending"), ("forgejo-15", "")])
async def test_a_commit_without_statuses_has_null_for_them(tmp_path: Path, flavour: Flavour, state: str) -> None:
    async with bench(tmp_path, flavour=flavour) as forge:
        first = await forge.forge.repositories["acme/shop"].commit_of("main~1")

        answer = await forge.get(f"/commits/{first}/status")

        assert (answer["state"], answer["statuses"], answer["repository"]) == (state, None, None)


async def test_the_combined_state_is_of_one_page_alone(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        await report(forge, *["success"] * 5, "failure")

        answer = await forge.client.get(f"/commits/{forge.sha}/status", params={"limit": "5"})

        assert (answer.json()["state"], answer.json()["total_count"]) == ("success", 5)
        # Six checks of this test and two of the demo project's.
        assert answer.headers["X-Total-Count"] == "8"


async def test_an_unknown_commit_is_500_and_an_unknown_state_422(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        unknown = await forge.client.post(f"/statuses/{'0' * 39}1", json={"state": "success"})
        wrong = await forge.client.post(f"/statuses/{forge.sha}", json={"state": "fine"})

        assert (unknown.status_code, unknown.json()["message"]) == (500, "")
        assert wrong.status_code == 422
