from pathlib import Path

from tests.deploy.sandbox.forging import NARROW, READER, bench


async def test_a_label_that_does_not_exist_drops_out_of_the_filter(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        label = (await forge.client.post("/labels", json={"name": "postmortem", "color": "#f00"})).json()
        await forge.client.post("/issues", json={"title": "one", "labels": [label["id"]]})
        await forge.client.post("/issues", json={"title": "two"})

        right = await forge.get("/issues", labels="postmortem", type="issues")
        wrong = await forge.get("/issues", labels="post-mortem", type="issues")

        assert [issue["title"] for issue in right] == ["one"]
        assert [issue["title"] for issue in wrong] == ["two", "one"]
        assert await forge.get("/issues", type="pulls") == []


async def test_labels_are_numbers_and_unknown_ones_are_lost(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        by_name = await forge.client.post("/issues", json={"title": "t", "labels": ["postmortem"]})
        unknown = await forge.client.post("/issues", json={"title": "t", "labels": [99]})

        assert by_name.status_code == 422
        assert (unknown.status_code, unknown.json()["labels"]) == (201, [])
        assert (await forge.client.post("/issues", json={})).json()["message"] == "[Title]: Required"


async def test_a_reader_may_open_an_issue_but_loses_its_labels(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        label = (await forge.client.post("/labels", json={"name": "postmortem", "color": "#f00"})).json()
        headers = {"Authorization": f"token {READER.token}"}

        made = await forge.client.post("/issues", json={"title": "t", "labels": [label["id"]]}, headers=headers)

        assert (made.status_code, made.json()["labels"]) == (201, [])


async def test_closed_issues_are_listed_only_when_asked_for(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        await forge.client.post("/issues", json={"title": "one"})
        closed = await forge.client.patch("/issues/1", json={"state": "closed"})

        assert closed.status_code == 201
        assert await forge.get("/issues") == []
        assert len(await forge.get("/issues", state="all")) == 1
        assert (await forge.client.get("/issues/2")).status_code == 404


async def test_comments_have_no_pages_and_an_unknown_issue_is_500(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        await forge.client.post("/issues", json={"title": "one"})
        for number in range(51):
            forge.forge.store.add(
                "comment", "acme/shop", issue=1, body=str(number), user="bob", created_at="", updated_at=""
            )

        assert len(await forge.get("/issues/1/comments", limit="10")) == 51
        unknown = await forge.client.post("/issues/9/comments", json={"body": "x"})
        assert (unknown.status_code, unknown.json()["message"]) == (500, "")


async def test_a_comment_is_changed_by_its_author_or_an_admin(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        await forge.client.post("/issues", json={"title": "one"})
        comment = (await forge.client.post("/issues/1/comments", json={"body": "x"})).json()
        stranger = {"Authorization": f"token {NARROW.token}"}
        path = f"/issues/comments/{comment['id']}"

        assert (await forge.client.patch(path, json={"body": "y"}, headers=stranger)).status_code == 403
        assert (await forge.client.patch(path, json={"body": "y"})).json()["body"] == "y"


async def test_what_the_forge_knows_is_there_after_a_restart(tmp_path: Path) -> None:
    async with bench(tmp_path) as forge:
        await forge.client.post("/issues", json={"title": "one"})
    async with bench(tmp_path) as forge:
        await forge.client.post("/issues", json={"title": "two"})

        assert [issue["number"] for issue in await forge.get("/issues")] == [2, 1]
