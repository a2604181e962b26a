"""Runs git: no prompt, no secret among its words, a time limit, and never left behind."""

import asyncio
import contextlib
import os
import signal
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from activities.clients.git_remote import Remote
from activities.errors import Refused, Unreachable
from activities.heartbeat import ended, in_thread

# The worker's environment holds secrets; git gets what it needs to find its way and nothing else.
_KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CONFIG_HOME"),
    *("SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)
_SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 -o ServerAliveInterval=10"
_SETTINGS = (
    "credential.helper=",
    "core.hooksPath=/dev/null",
    "core.autocrlf=false",
    "core.fsmonitor=false",
    # A redirected request would hand the token to whichever server it was sent to.
    "http.followRedirects=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=30",
    # Packs appear whole or not at all; loose objects of a killed fetch would look like a commit without its files.
    "fetch.unpackLimit=1",
    "gc.autoDetach=false",
    "maintenance.autoDetach=false",
    "advice.detachedHead=false",
)
_ASKPASS = """#!/bin/sh
case "$1" in
Username*) printf '%s\\n' "$RUNBOOK_GIT_USER" ;;
*) printf '%s\\n' "$RUNBOOK_GIT_PASSWORD" ;;
esac
"""
_GRACE_SECONDS = 3.0


@dataclass(frozen=True)
class Output:
    """How git ended; `err` is without secrets."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode(errors="replace")


class GitCommand:
    """`folder` keeps the askpass script; `limit` bounds each command that is given none of its own."""

    def __init__(self, folder: Path, limit: timedelta) -> None:
        self._askpass = folder / "askpass"
        self.limit = limit

    async def run(
        self,
        words: Sequence[str],
        *,
        at: Path,
        remote: Remote | None = None,
        feed: bytes = b"",
        holding: int | None = None,
        within: timedelta | None = None,
        settings: Sequence[str] = (),
    ) -> Output:
        """Run `git <words>` in the folder `at`, where these settings count before those of every command.

        A child keeps the descriptor `holding` open as long as it lives.

        Raises:
            Unreachable: it did not end `within` this time, or the limit of every command where none is given.
            Refused: there is no git on the worker.
        """
        limit = within or self.limit
        if remote and remote.token:
            await in_thread(self._write_askpass)
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                *(word for setting in (*_SETTINGS, *settings) for word in ("-c", setting)),
                *words,
                cwd=at,
                env=self._environment(remote),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # A session of its own: no terminal to ask on, and one group to end with everything it started.
                start_new_session=True,
                pass_fds=() if holding is None else (holding,),
            )
        except FileNotFoundError:
            raise Refused(f"git {words[0]} can't be run: install git on the worker, or make {at} again") from None
        try:
            async with asyncio.timeout(limit.total_seconds()):
                out, err = await process.communicate(feed)
        except TimeoutError:
            raise Unreachable(
                f"git {words[0]} of {remote.name if remote else at.name} did not end within {limit}: "
                "check the network and the forge"
            ) from None
        finally:
            await ended(_end(process))
        said = err.decode(errors="replace")
        return Output(process.returncode or 0, out, remote.redacted(said) if remote else said)

    def _write_askpass(self) -> None:
        if self._askpass.exists():
            return
        self._askpass.parent.mkdir(parents=True, exist_ok=True)
        new = self._askpass.with_name(f"askpass.{uuid.uuid4().hex}")
        new.write_text(_ASKPASS, encoding="utf-8")
        new.chmod(0o700)
        # In one step, because another worker may be running it.
        new.replace(self._askpass)

    def _environment(self, remote: Remote | None) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {
            "GIT_SSH_COMMAND": _SSH,
            **kept,
            **(remote.environment() if remote else {}),
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": str(self._askpass),
        }


async def _end(process: asyncio.subprocess.Process) -> None:
    """End git and its children if it still runs: asked first, so that it takes its lock files away."""
    if process.returncode is not None:
        return
    # Already gone but not yet noticed is fine, too.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(_GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
