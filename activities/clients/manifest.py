"""Reads the artifact manifest, wherever the pipeline keeps it, and gives the one digest of one version."""

from pathlib import Path
from typing import Protocol

import httpx

from activities.clients.git import GitClient
from activities.clients.http import answering, body_of, pause_asked
from activities.clients.manifest_format import Unreadable, digests_of
from activities.errors import Refused, Unreachable
from activities.heartbeat import in_thread
from runbook.artifact import ArtifactToVerify
from runbook.artifact_table import ManifestTable
from runbook.identifier import tag_of
from runbook.project import EnvironmentTable
from runbook.trouble import Cause

_LARGEST = 4 * 1024 * 1024


class HostFiles(Protocol):
    """Reads files on hosts.

    Raises:
        Refused: the host has no such file, or does not let us read it.
        Unreachable: the host could not be reached; the message names it.
    """

    async def read(self, environment: EnvironmentTable, host: str, path: str) -> bytes: ...


class ManifestClient:
    def __init__(self, git: GitClient, http: httpx.AsyncClient, hosts: HostFiles) -> None:
        self._git = git
        self._http = http
        self._hosts = hosts

    async def digest(self, order: ArtifactToVerify) -> str:
        """The digest that the manifest gives to exactly the order's version.

        Raises:
            Refused: two different digests (DIGEST_MISMATCH), or a tag on another commit (TAG_MOVED).
            Unreachable: none yet (DIGEST_UNKNOWN), for the pipeline may be writing it, or the place did not answer.
        """
        manifest, tag = order.artifact.manifest, tag_of(order.version)
        where = _where(manifest, tag)
        content = await self._content(order)
        if content is None:
            raise Unreachable(f"there is no {where} yet: does the pipeline write it?", cause=Cause.DIGEST_UNKNOWN)
        try:
            found = digests_of(content, manifest.format, order.version)
        except Unreadable as error:
            raise Unreachable(
                f"{where} can't be read as {manifest.format}: {error}", cause=Cause.DIGEST_UNKNOWN
            ) from None
        if not found:
            raise Unreachable(
                f"{where} gives no digest for {tag}: did the pipeline record it?", cause=Cause.DIGEST_UNKNOWN
            )
        if len(found) > 1:
            raise Refused(
                f"{where} gives {len(found)} different digests for {tag}: find out which build is the right one, "
                "and leave only that",
                cause=Cause.DIGEST_MISMATCH,
                evidence=found[:20],
            )
        return found[0]

    async def _content(self, order: ArtifactToVerify) -> bytes | None:
        manifest = order.artifact.manifest
        if manifest.path is not None:
            at = await self._commit_of(order, manifest.ref)
            return await self._git.read(order.project, order.forge, at, manifest.path)
        if manifest.url is not None:
            return await self._fetched(manifest.url)
        if manifest.file is None:
            raise Refused("artifact.manifest names no place: give path, file or url")
        if manifest.host is None:
            return await in_thread(_read, Path(manifest.file))
        try:
            return await self._hosts.read(order.environment, manifest.host, manifest.file)
        except Refused as refused:
            # The pipeline may be about to write it.
            raise Unreachable(str(refused), cause=Cause.DIGEST_UNKNOWN, evidence=refused.evidence) from None

    async def _commit_of(self, order: ArtifactToVerify, ref: str | None) -> str:
        """The commit at which the manifest is read: the branch's head, or the release's own tag."""
        where = (order.project, order.forge)
        if ref is not None:
            found = await self._git.branch_commit(*where, ref) or await self._git.tag_commit(*where, ref)
            if found is None:
                raise Unreachable(
                    f"{order.project.owner}/{order.project.name} has no branch or tag {ref} yet: "
                    "check artifact.manifest.ref",
                    cause=Cause.DIGEST_UNKNOWN,
                )
            return found
        tag = tag_of(order.version)
        tagged = await self._git.tag_commit(*where, tag)
        if tagged is None or tagged != order.commit:
            stands = f"stands on {tagged[:12]}" if tagged else "is gone"
            raise Refused(f"tag {tag} {stands}, not on {order.commit[:12]}: it was moved", cause=Cause.TAG_MOVED)
        return tagged

    async def _fetched(self, url: str) -> bytes | None:
        """None when there is no such page; a redirect is not followed, for it may lead anywhere."""
        try:
            async with answering(self._http, self._http.build_request("GET", url)) as answer:
                content = await body_of(answer, _LARGEST)
        except httpx.HTTPError as error:
            raise Unreachable(f"{url} did not answer ({type(error).__name__})") from None
        if content is None:
            raise Refused(f"{url} is larger than {_LARGEST} bytes: that is no artifact manifest")
        if answer.status_code == 404:
            return None
        if answer.status_code in {408, 425, 429} or answer.status_code >= 500:
            raise Unreachable(
                f"{url} answered {answer.status_code}: its server is unwell or busy", again=pause_asked(answer.headers)
            )
        if answer.status_code != 200:
            raise Refused(f"{url} answered {answer.status_code}: give artifact.manifest.url the address it is read at")
        return content


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(
            f"manifest {path} on the worker can't be read ({error.strerror}): let the worker read it"
        ) from None


def _where(manifest: ManifestTable, tag: str) -> str:
    if manifest.path is not None:
        return f"manifest {manifest.path} at {manifest.ref or tag}"
    if manifest.url is not None:
        return f"manifest {manifest.url}"
    return f"manifest {manifest.file} on {manifest.host or 'the worker'}"
