"""`python -m deploy.sandbox up` runs a sandbox until it is told to stop; `state` says what is really there."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

import httpx

from deploy.sandbox.engine_choice import NoEngine
from deploy.sandbox.sandbox import Sandbox, SandboxTaken
from deploy.sandbox.sandbox_facts import SandboxFacts
from deploy.sandbox.settings import SandboxSettings


def main() -> int:
    asked = _arguments().parse_args()
    # A Docker engine tries TLS first on every registry; that plain http refuses it is no news.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    try:
        if asked.command == "state":
            return _state(asked.root)
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


def _state(root: Path) -> int:
    try:
        admin = SandboxFacts.read(root).admin
        answer = httpx.get(f"{admin}/state", trust_env=False, timeout=30)
        print(json.dumps(answer.raise_for_status().json(), indent=2))
    except (OSError, httpx.HTTPError) as error:
        print(f"no sandbox answers for {root} ({error}): start one with `up --root {root}`", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.ArgumentParser:
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
    return parser


if __name__ == "__main__":
    sys.exit(main())
