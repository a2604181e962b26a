"""The forge's release of a tag: there exactly once, with exactly this text, however often it is tried."""

from dataclasses import dataclass

from activities.clients.forge_call import ForgeCall, segment
from activities.clients.forge_json import Row, row, text, whole
from activities.errors import Refused, Unreachable
from runbook.trouble import Cause


@dataclass(frozen=True)
class Release:
    """What the forge's page of a release says."""

    tag: str
    name: str
    body: str
    prerelease: bool

    def wire(self) -> Row:
        return {
            "tag_name": self.tag,
            "name": self.name,
            "body": self.body,
            "draft": False,
            "prerelease": self.prerelease,
        }


@dataclass(frozen=True)
class Published:
    id: int
    url: str
    existed: bool


async def publish(call: ForgeCall, release: Release, commit: str) -> Published:
    """Make the release, or make the one that is there say this.

    Raises:
        Refused: the tag is not on the commit, or the forge does not let us.
        Unreachable: the forge did not answer, and the release is not there.
    """
    # Without its tag the forge would make one, on whatever its default branch holds.
    await _demand_tag(call, release.tag, commit)
    held = await _held(call, release.tag)
    if held is None:
        return await _create(call, release)
    return await _correct(call, release, held)


async def _demand_tag(call: ForgeCall, tag: str, commit: str) -> None:
    reply = await call.ask("GET", f"{call.repo}/tags/{segment(tag)}", but={404})
    if reply.status == 404:
        raise Refused(f"{reply.where}: there is no tag {tag}; push it again before its release is recorded")
    stands = text(row(row(reply.json()).get("commit")), "sha")
    if stands != commit:
        raise Refused(
            f"{reply.where}: tag {tag} stands on {stands[:12] or 'nothing'}, not on {commit[:12]}; it was moved",
            cause=Cause.TAG_MOVED,
        )


async def _held(call: ForgeCall, tag: str) -> Row | None:
    reply = await call.ask("GET", f"{call.repo}/releases/tags/{segment(tag)}", but={404})
    if reply.status == 404:
        return None
    found = row(reply.json())
    # The forge looks tags up without regard to case.
    if text(found, "tag_name") != tag:
        raise Refused(f"{reply.where}: the forge has a release {text(found, 'tag_name')}, which it takes for {tag}")
    return found


async def _create(call: ForgeCall, release: Release) -> Published:
    try:
        reply = await call.ask("POST", f"{call.repo}/releases", body=release.wire(), but={409})
    except Unreachable:
        # It may have been made before the answer was lost.
        held = await _held(call, release.tag)
        if held is None:
            raise
        return await _correct(call, release, held)
    if reply.status != 409:
        made = row(reply.json())
        return Published(whole(made, "id"), text(made, "html_url", "url"), existed=False)
    held = await _held(call, release.tag)
    if held is None:
        raise Unreachable(f"{reply.where} answered 409, yet there is no release for {release.tag}: it is tried again")
    return await _correct(call, release, held)


async def _correct(call: ForgeCall, release: Release, held: Row) -> Published:
    published = Published(whole(held, "id"), text(held, "html_url", "url"), existed=True)
    wanted = release.wire()
    if any(held.get(key) != value for key, value in wanted.items()):
        await call.ask("PATCH", f"{call.repo}/releases/{published.id}", body=wanted)
    return published
