"""Issues and comments, each there exactly once: known by a marker that begins its text, for a forge has no other key."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from activities.clients.forge_call import ForgeCall
from activities.clients.forge_json import Row, row, rows, text, whole
from activities.errors import Refused, Unreachable
from activities.heartbeat import ended

_COLOUR = "#b60205"


@dataclass(frozen=True)
class Note:
    """Something written on the forge: `id` is an issue's number or a comment's id."""

    id: int
    url: str
    existed: bool


def marked(marker: str, body: str) -> str:
    """The text as it is stored: the marker first, where nobody who quotes it can put it, and where nobody sees it."""
    return f"<!-- {marker} -->\n{body}"


async def open_issue(call: ForgeCall, *, marker: str, label: str, title: str, body: str, since: datetime) -> Note:
    """Open the issue, or find the one with this marker among those changed after `since`, and see that it has the label.

    Raises:
        Refused: the forge does not let us open, or label it.
        Unreachable: the forge did not answer.
    """
    label_id = await _label(call, label)
    text_of_it = marked(marker, body)

    async def look() -> list[Row]:
        # By time and not by label: an unknown label is ignored, and a lost one would hide the issue.
        query = {"state": "all", "type": "issues", "since": since.isoformat(timespec="seconds")}
        found = await call.listed(f"{call.repo}/issues", query=query)
        return sorted(_mine(found, marker), key=lambda issue: whole(issue, "number"))

    async def make() -> Row:
        body_of_it: Row = {"title": title, "body": text_of_it, "labels": [label_id]}
        return row((await call.ask("POST", f"{call.repo}/issues", body=body_of_it)).json())

    async def drop(issue: Row) -> None:
        path = f"{call.repo}/issues/{whole(issue, 'number')}"
        if (await call.ask("DELETE", path, but={403, 404, 405})).status >= 300 and text(issue, "state") != "closed":
            await call.ask("PATCH", path, body={"state": "closed"})

    issue, existed = await _once(look, make, drop)
    await _see_label(call, issue, label, label_id)
    return Note(whole(issue, "number"), text(issue, "html_url", "url"), existed)


async def comment(call: ForgeCall, issue: int, *, marker: str, body: str) -> Note:
    """Comment on the issue, or make the comment with this marker say this.

    Raises:
        Refused: there is no such issue, or it takes no comment.
        Unreachable: the forge did not answer.
    """
    text_of_it = marked(marker, body)

    async def look() -> list[Row]:
        # This list has no pages. An unknown issue is a 404 here and a 500 for a comment.
        found = rows((await call.ask("GET", f"{call.repo}/issues/{issue}/comments")).json())
        return sorted(_mine(found, marker), key=lambda comment: whole(comment, "id"))

    async def make() -> Row:
        return row((await call.ask("POST", f"{call.repo}/issues/{issue}/comments", body={"body": text_of_it})).json())

    async def drop(comment: Row) -> None:
        await call.ask("DELETE", f"{call.repo}/issues/comments/{whole(comment, 'id')}", but={403, 404, 405})

    await call.ask("GET", f"{call.repo}/issues/{issue}")
    held, existed = await _once(look, make, drop)
    if text(held, "body") != text_of_it:
        await call.ask("PATCH", f"{call.repo}/issues/comments/{whole(held, 'id')}", body={"body": text_of_it})
    return Note(whole(held, "id"), text(held, "html_url"), existed)


async def _once(
    look: Callable[[], Awaitable[list[Row]]],
    make: Callable[[], Awaitable[Row]],
    drop: Callable[[Row], Awaitable[None]],
) -> tuple[Row, bool]:
    """The oldest that is there, made if there is none; of two made at the same moment everybody drops the younger."""
    found = await look()
    if found:
        return await _oldest(found, drop), True

    async def made() -> Row:
        return await _oldest(await _made(look, make), drop)

    # An attempt that froze before it asked, and is told to stop when it wakes, still looks whether it came second.
    return await ended(made()), False


async def _oldest(found: list[Row], drop: Callable[[Row], Awaitable[None]]) -> Row:
    kept, *younger = found
    for extra in younger:
        if _author(extra) == _author(kept):
            await drop(extra)
    return kept


async def _made(look: Callable[[], Awaitable[list[Row]]], make: Callable[[], Awaitable[Row]]) -> list[Row]:
    try:
        made = await make()
    except Unreachable:
        # It may have been made before the answer was lost.
        found = await look()
        if not found:
            raise
        return found
    found = await look()
    # What the list does not show yet is there all the same: looking again would end with a second one.
    return found if any(whole(item, "id") == whole(made, "id") for item in found) else [*found, made]


async def _label(call: ForgeCall, name: str) -> int:
    """The label's id, made if missing; of two of the same name the older."""
    path = f"{call.repo}/labels"
    held = [whole(label, "id") for label in await call.listed(path) if text(label, "name") == name]
    if held:
        return min(held)
    body: Row = {"name": name, "color": _COLOUR, "description": "What went wrong, and why"}
    return whole(row((await call.ask("POST", path, body=body)).json()), "id")


async def _see_label(call: ForgeCall, issue: Row, name: str, label: int) -> None:
    """A forge drops the labels of somebody who may not set them without a word."""
    if name in {text(held, "name") for held in rows(issue.get("labels"))}:
        return
    reply = await call.ask("POST", f"{call.repo}/issues/{whole(issue, 'number')}/labels", body={"labels": [label]})
    if name not in {text(held, "name") for held in rows(reply.json())}:
        raise Refused(
            f"{reply.where}: the forge does not put label {name} on it; give the token's user the right to write issues"
        )


def _mine(found: list[Row], marker: str) -> list[Row]:
    return [item for item in found if text(item, "body").startswith(f"<!-- {marker} -->")]


def _author(item: Row) -> int:
    return whole(row(item.get("user")), "id")
