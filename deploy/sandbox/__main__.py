"""`python -m deploy.sandbox up` runs a sandbox until told to stop; `state` says what is there, `publish` commits a version."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path
from typing import get_args

import httpx

from deploy.sandbox.engine_choice import NoEngine
from deploy.sandbox.images import ImageKind
from deploy.sandbox.sandbox import Sandbox, SandboxTaken
from deploy.sandbox.sandbox_facts import SandboxFacts
from deploy.sandbox.settings import SandboxSettings


def main() -> int:
    asked = arguments().parse_args()
    # A Docker engine tries TLS first on every registry; that plain http refuses it is no news.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    try:
        if asked.command == "state":
            return _told(asked.root, "GET", "state")
        if asked.command == "publish":
            return _told(asked.root, "POST", "versions", {"version": asked.version, "kind": asked.kind})
        settings = {key: value for key, value in vars(asked).items() if key not in {"command", "empty"}}
        baseline = {"baseline": None} if asked.empty else {}
        return asyncio.run(_up(SandboxSettings(**settings, **baseline)))
    except (SandboxTaken, NoEngine) as wrong:
        print(wrong, file=sys.stderr)
        return 1


async def _up(settings: SandboxSettings) -> int:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with Sandbox(settings) as sandbox:
        facts = sandbox.facts
        print(f"sandbox up: {sandbox.layout.facts}")
        print(f"forge {facts.forge.url}  registry {facts.registry.address}  admin {facts.admin}")
        for host in facts.hosts:
            print(f"{host.name}: {host.url}  ssh {facts.ssh_user}@{host.address}:{host.ssh_port}")
        sys.stdout.flush()
        await ended.wait()
    return 0


def _told(root: Path, method: str, path: str, body: dict[str, str] | None = None) -> int:
    """What the running sandbox answers at its private door."""
    try:
        admin = SandboxFacts.read(root).admin
        answer = httpx.request(method, f"{admin}/{path}", json=body, trust_env=False, timeout=30)
        print(json.dumps(answer.raise_for_status().json(), indent=2))
    except httpx.HTTPStatusError as error:
        print(f"the sandbox refuses it ({error.response.status_code}): {error.response.text}", file=sys.stderr)
        return 1
    except (OSError, httpx.HTTPError) as error:
        print(f"no sandbox answers for {root} ({error}): start one with `up --root {root}`", file=sys.stderr)
        return 1
    return 0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="run until SIGTERM or SIGINT")
    up.add_argument("--root", type=Path, required=True, help="everything is kept below this folder")
    up.add_argument("--staging", type=int, default=2, metavar="N")
    up.add_argument("--production", type=int, default=3, metavar="N")
    up.add_argument("--flavour", default="gitea-1.26", choices=["gitea-1.23", "gitea-1.26", "forgejo-15"])
    up.add_argument("--engine", default="auto", choices=["auto", "process", "docker"])
    up.add_argument("--pipeline-seconds", type=float, default=0.5, metavar="S", help="how long a build takes")
    up.add_argument("--registry-auth", default="bearer", choices=["none", "basic", "bearer"])
    up.add_argument("--baseline", default="1.0.0", metavar="VERSION", help="what runs everywhere at first")
    up.add_argument("--empty", action="store_true", help="leave the hosts empty, with no version running")
    state = commands.add_parser("state", help="what is on every host, as JSON")
    state.add_argument("--root", type=Path, required=True)
    publish = commands.add_parser("publish", help="commit another version of the shop, ready to be released")
    publish.add_argument("version", help="like 1.1.0")
    publish.add_argument("--root", type=Path, required=True)
    publish.add_argument("--kind", default="good", choices=get_args(ImageKind), help="what the pipeline makes of it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
