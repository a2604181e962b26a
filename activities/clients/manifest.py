"""Reads the artifact manifest, wherever the pipeline keeps it, and gives the one digest of one version."""

from pathlib import Path
from typing import Protocol

import httpx

from activities.clients.git import GitClient
from activities.clients.manifest_format import Unreadable, digests_of
from activities.errors import Refused, Unreachable
from activities.heartbeat import in_thread
from runbook.identifier import digest_of, tag_of
from runbook.project import EnvironmentTable, ForgeTable, ManifestTable, ProjectTable
from runbook.trouble import Cause

_LARGEST = 4 * 1024 * 1024


class HostFiles(Protocol):
    """Reads files on hosts.

    Raises:
        FileNotFoundError: the host has no such file.
        Unreachable: the host could not be reached; the message names it.
    """

    async def read(self, environment: EnvironmentTable, host: str, path: str) -> bytes: ...


class ManifestClient:
    def __init__(self, git: GitClient, http: httpx.AsyncClient, hosts: HostFiles) -> None:
        self._git = git
        self._http = http
        self._hosts = hosts

    async def digest(
        self,
        project: ProjectTable,
        forge: ForgeTable,
        manifest: ManifestTable,
        environment: EnvironmentTable,
        *,
        version: str,
        commit: str,
    ) -> str:
        """The digest that the manifest gives to exactly this version; `environment` says how its host is reached.

        Raises:
            Refused: two different digests (DIGEST_MISMATCH), or a tag on another commit (TAG_MOVED).
            Unreachable: none yet (DIGEST_UNKNOWN), for the pipeline may be writing it, or the place did not answer.
        """
        where = _where(manifest, version)
        content = await self._content(project, forge, manifest, environment, version=version, commit=commit)
        if content is None:
            raise Unreachable(f"there is no {where} yet: does the pipeline write it?", cause=Cause.DIGEST_UNKNOWN)
        try:
            found = digests_of(content, manifest.format, version)
        except Unreadable as error:
            raise Unreachable(
                f"{where} can't be read as {manifest.format}: {error}", cause=Cause.DIGEST_UNKNOWN
            ) from None
        if not found:
            raise Unreachable(
                f"{where} gives no digest for {tag_of(version)}: did the pipeline record it?",
                cause=Cause.DIGEST_UNKNOWN,
            )
        if len(found) > 1:
            raise Refused(
                f"{where} gives {len(found)} different digests for {tag_of(version)}: find out which build is the right "
                "one and leave only its line",
                cause=Cause.DIGEST_MISMATCH,
                evidence=found[:20],
            )
        return digest_of(found[0])

    async def _content(
        self,
        project: ProjectTable,
        forge: ForgeTable,
        manifest: ManifestTable,
        environment: EnvironmentTable,
        *,
        version: str,
        commit: str,
    ) -> bytes | None:
        if manifest.path is not None:
            at = await self._commit_of(project, forge, manifest.ref, version=version, commit=commit)
            return await self._git.read(project, forge, at, manifest.path)
        if manifest.url is not None:
            return await self._fetched(manifest.url)
        if manifest.file is None:
            raise Refused("artifact.manifest names no place: give path, file or url")
        try:
            if manifest.host is not None:
                return await self._hosts.read(environment, manifest.host, manifest.file)
            return await in_thread(_read, Path(manifest.file))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Refused(
                f"{_where(manifest, version)} can't be read ({error.strerror}): make it readable for the worker"
            ) from None

    async def _commit_of(
        self, project: ProjectTable, forge: ForgeTable, ref: str | None, *, version: str, commit: str
    ) -> str:
        """The commit at which the manifest is read: the branch's head, or the release's own tag."""
        if ref is not None:
            found = await self._git.branch_commit(project, forge, ref)
            found = found or await self._git.tag_commit(project, forge, ref)
            if found is None:
                raise Unreachable(
                    f"{project.owner}/{project.name} has no branch or tag {ref} yet: check artifact.manifest.ref",
                    cause=Cause.DIGEST_UNKNOWN,
                )
            return found
        tagged = await self._git.tag_commit(project, forge, tag_of(version))
        if tagged != commit:
            stands = f"stands on {tagged[:12]}" if tagged else "is gone"
            raise Refused(f"tag {tag_of(version)} {stands}, not on {commit[:12]}: it was moved", cause=Cause.TAG_MOVED)
        return tagged

    async def _fetched(self, url: str) -> bytes | None:
        """None when there is no such page; a redirect is not followed, for it may lead anywhere."""
        try:
            async with self._http.stream("GET", url) as answer:
                content = bytearray()
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > _LARGEST:
                        raise Refused(f"{url} is larger than {_LARGEST} bytes: that is no artifact manifest")
        except httpx.HTTPError as error:
            raise Unreachable(f"{url} did not answer ({type(error).__name__})") from None
        if answer.status_code == 404:
            return None
        if answer.status_code in {408, 425, 429} or answer.status_code >= 500:
            raise Unreachable(f"{url} answered {answer.status_code}: its server is unwell or busy")
        if answer.status_code != 200:
            raise Refused(f"{url} answered {answer.status_code}: give artifact.manifest.url the address it is read at")
        return bytes(content)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST)


def _where(manifest: ManifestTable, version: str) -> str:
    if manifest.path is not None:
        return f"manifest {manifest.path} at {manifest.ref or tag_of(version)}"
    if manifest.url is not None:
        return f"manifest {manifest.url}"
    return f"manifest {manifest.file} on {manifest.host or 'the worker'}"
