"""What is left on the forge: the release with its proof, a word on the related issue, and the postmortem's issue."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from activities.binding import performs
from activities.clients.forge import ForgeClient, ForgeRepository, Published, Release
from activities.drift_comment import comment_body, marker
from activities.errors import Refused
from runbook import record as messages
from runbook import steps
from runbook.drift_check import CommentedDrift, DriftToComment
from runbook.identifier import tag_of
from runbook.message import ReleaseRef
from runbook.names import lane

_LABEL = "postmortem"
_CLOCKS_DIFFER = timedelta(days=1)
_MOST_LINES = 200


class Heads(Protocol):
    """Who knows the hash of the ledger's newest row."""

    async def head(self) -> str: ...


class RecordActivities:
    def __init__(self, forge: ForgeClient, ledger: Heads) -> None:
        self._forge = forge
        self._ledger = ledger

    @performs(steps.RECORD)
    async def record(self, order: messages.ReleaseToRecord) -> messages.RecordedRelease:
        repository = await self._forge.repository(order.project, order.forge)
        body = _release_body(order, await self._ledger.head())
        release = Release(order.tag, order.tag, body, prerelease="-" in order.ref.version)
        published = await repository.publish(release, order.commit)
        said = await _comment(
            repository,
            order.project.related_issue,
            f"release-runbook released {order.tag}",
            _released(order, published),
        )
        how = "was there" if published.existed else "is published"
        return messages.RecordedRelease(
            release=published.id,
            url=published.url,
            summary=f"release {order.tag} {how}{f'; {said}' if said else ''}"[:149],
            evidence=[line[:300] for line in (published.url, said, *body.splitlines()) if line.strip()][:20],
        )

    @performs(steps.POSTMORTEM)
    async def postmortem(self, order: messages.PostmortemToOpen) -> messages.OpenedPostmortem:
        repository = await self._forge.repository(order.project, order.forge)
        began = datetime.fromtimestamp(order.ref.epoch / 1000, UTC)
        issue = await repository.open_issue(
            marker=f"release-runbook postmortem {order.ref.release}",
            label=_LABEL,
            title=f"Postmortem: {order.ref.project} {_what_happened(order.ref)}",
            body=_postmortem_body(order, repository.page, await self._ledger.head()),
            since=began - _CLOCKS_DIFFER,
        )
        said = await _comment(
            repository,
            order.project.related_issue,
            f"release-runbook rolled back {order.ref.release}",
            f"Rolled back: {_what_happened(order.ref)}. Postmortem: [#{issue.id}]({issue.url}).",
        )
        how = "was opened before" if issue.existed else "is opened"
        return messages.OpenedPostmortem(
            issue=issue.id,
            url=issue.url,
            summary=f"issue #{issue.id} {how}",
            evidence=[issue.url, *([said] if said else [])],
        )

    @performs(steps.COMMENT_DRIFT)
    async def comment_drift(self, order: DriftToComment) -> CommentedDrift:
        """Nothing where the project has no related issue."""
        number = order.project.related_issue
        if number is None:
            return CommentedDrift(summary="the project's file names no related issue")
        repository = await self._forge.repository(order.project, order.forge)
        try:
            note = await repository.comment(number, marker=marker(order.ref.project), body=comment_body(order))
        except Refused as refused:
            return CommentedDrift(summary=f"issue #{number} takes no comment", evidence=[str(refused)[:300]])
        return CommentedDrift(summary=f"issue #{number} tells of it", evidence=[note.url], url=note.url)


def _released(order: messages.ReleaseToRecord, published: Published) -> str:
    return (
        f"Released [{order.tag}]({published.url}): `{order.image.reference}`, approved by {_people(order.approvers)}."
    )


async def _comment(repository: ForgeRepository, number: int | None, marker: str, body: str) -> str:
    """A word on the related issue. An issue that takes none must not make people roll a good release back."""
    if number is None:
        return ""
    try:
        note = await repository.comment(number, marker=marker, body=body)
    except Refused as refused:
        return f"issue #{number} takes no comment: {refused}"[:300]
    return f"commented on issue #{number}: {note.url}"


def _release_body(order: messages.ReleaseToRecord, head: str) -> str:
    proof = {
        "Image": f"`{order.image.reference}`",
        "Digest": f"`{order.image.digest}`",
        "Commit": order.commit,
        "Approved by": _people(order.approvers),
        **({"Downtime": "; ".join(order.downtime)} if order.downtime else {}),
        **_of_run(order.ref, head),
    }
    return f"{order.changelog.strip()}\n\n---\n\n{_table(proof)}"


def _postmortem_body(order: messages.PostmortemToOpen, page: str, head: str) -> str:
    tag = tag_of(order.ref.version)
    links = {
        "Version": f"[{tag}]({page}/src/tag/{tag})",
        **({"Release": _run_of(order.failed)} if order.failed else {}),
        "Runbook": order.project.runbook or "not linked in the project's file",
        "Incident template": order.project.incident_template or "not linked in the project's file",
        **_of_run(order.ref, head),
    }
    happened = "\n".join(f"- {_one_line(line)}" for line in order.timeline[:_MOST_LINES]) or "- nothing was noted"
    parts = [
        f"{order.ref.project} {_what_happened(order.ref)}: {_one_line(order.reason)}",
        _table(links),
        f"## Timeline\n\n{happened}",
    ]
    if order.evidence:
        parts.append(f"## Evidence\n\n{_fenced(order.evidence[:_MOST_LINES])}")
    parts.append(
        "## To be written\n\n- [ ] What people noticed\n- [ ] Why it happened\n- [ ] What keeps it from happening again"
    )
    return "\n\n".join(parts)


def _what_happened(ref: ReleaseRef) -> str:
    """A rollback by hand runs in the lane itself and knows the version it goes to, not the one it leaves."""
    tag = tag_of(ref.version)
    return f"was rolled back to {tag}" if ref.workflow_id == lane(ref.project) else f"{tag} was rolled back"


def _run_of(ref: ReleaseRef) -> str:
    return f"`{ref.workflow_id}`, run `{ref.release}`"


def _of_run(ref: ReleaseRef, head: str) -> dict[str, str]:
    return {
        "Requested by": ref.requested_by,
        "Workflow": _run_of(ref),
        "Ledger head": f"`{head}`",
    }


def _table(cells: dict[str, str]) -> str:
    rows = [f"| {name} | {_one_line(value).replace('|', chr(92) + '|')} |" for name, value in cells.items()]
    return "\n".join(["| | |", "| --- | --- |", *rows])


def _people(names: Sequence[str]) -> str:
    return ", ".join(names) or "nobody"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _fenced(lines: Sequence[str]) -> str:
    """A fence longer than any inside, so that no line of an output ends it."""
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *(_one_line(line) for line in lines), fence])
