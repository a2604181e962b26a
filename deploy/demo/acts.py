"""The acts of the demo: a release whose worker is killed twice, and one that production does not bear."""

import asyncio
import re
import shlex
import sys
from collections.abc import Callable
from typing import Any

import httpx
from temporalio.client import Client, WorkflowHandle

from deploy.demo.house import House, status_of
from deploy.demo.outside import Outside
from deploy.demo.screen import Screen
from runbook import names, steps
from runbook.status import State, Status

_LONGEST = 120.0
_LOOK = 0.04


class Stage:
    """One house, its audience and the release that is on."""

    def __init__(self, house: House, screen: Screen, client: Client) -> None:
        self.house = house
        self.screen = screen
        self.client = client
        self.outside = Outside(house)

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(names.lane(self.house.facts.project))

    async def start(self, version: str) -> str:
        """The commit of the new version, whose release has been started."""
        commit = await self.house.publish(version)
        words = ["start", self.house.facts.project, version, "--reason", "the demo", "--as", "carol"]
        self.screen.say(f"$ {names.starter(*words)}")
        self.screen.say((await self.house.starter(*words)).strip())
        return commit

    async def until(self, reached: Callable[[Status], bool]) -> Status:
        """Show the board until this holds of it."""
        deadline = asyncio.get_running_loop().time() + _LONGEST
        while True:
            status = await status_of(self.handle)
            self.screen.board(status)
            if reached(status):
                return status
            if status.outcome or asyncio.get_running_loop().time() > deadline:
                needs = [f"{need.step}: {need.what}" for need in status.needs]
                raise RuntimeError(f"the release is at {status.stage}: {status.summary or needs or status.messages}")
            await asyncio.sleep(_LOOK)

    async def until_running(self, step: str, host: str = "") -> Status:
        return await self.until(
            lambda status: any(
                row.name == step and host in {"", row.host} and row.state is State.RUNNING for row in status.rows
            )
        )

    async def kill_worker(self, when: str) -> None:
        pid = self.house.worker.kill() if self.house.worker else None
        self.screen.say(f"[bold red]kill -9 {pid}[/]: the worker dies {when}")
        await asyncio.to_thread(self.house.start_worker)
        self.screen.say("[bold green]another worker[/] takes over")

    async def approve(self, status: Status) -> None:
        """Send exactly what the board says, through the `temporal` command."""
        if status.gate is None:
            raise RuntimeError("there is no gate to approve at")
        self.screen.box("the gate, as the board shows it", gate_text(await self.handle.query(names.BOARD)))
        command = status.gate.how_to[0].replace("YOU", status.gate.approvers[0])
        await self._pause()
        self.screen.say(f"$ {command}")
        await self.house.temporal(shlex.split(command))

    async def _pause(self) -> None:
        if sys.stdin.isatty() and sys.stdout.isatty():
            print("Press Enter to approve … ", end="", flush=True)
            await _enter()


async def first_act(stage: Stage) -> None:
    """v1.0.0 goes from its commit to production; its worker is killed in the pipeline and in the swap."""
    screen, house = stage.screen, stage.house
    screen.act("Act 1: shop v1.0.0, released while its worker is killed twice")
    await asyncio.to_thread(house.start_worker)
    commit = await stage.start("1.0.0")
    await stage.until_running(steps.PIPELINE_END.name)
    await stage.kill_worker("while the pipeline builds")
    waiting = await stage.until(lambda status: status.gate is not None and status.gate.open)
    second = house.facts.having("production")[1]
    await _slow_engine(second.admin)
    await stage.approve(waiting)
    await stage.until_running(steps.SWAP.name, second.address)
    await asyncio.sleep(0.4)
    await stage.kill_worker(f"in the swap on {second.name}")
    await stage.until(lambda status: status.outcome is not None)
    result = await stage.handle.result()
    screen.say(f"[bold]{result['summary']}[/]")
    await prove_release(stage, "1.0.0", commit, waiting.digest)


async def second_act(stage: Stage) -> None:
    """v1.1.0 is not healthy on the second of three hosts: everything touched goes back."""
    screen, house, outside = stage.screen, stage.house, stage.outside
    screen.act("Act 2: shop v1.1.0, whose health fails on the second of three hosts")
    if house.worker is None or not house.worker.running():
        await asyncio.to_thread(house.start_worker)
    hosts = house.facts.having("production")
    before = [await outside.answer(host) for host in hosts]
    digests = [outside.running(host)[0]["image"] for host in hosts]
    third = outside.started(hosts[2])
    await house.drift(hosts[1], "BROKEN_VERSIONS", "v1.1.0")
    screen.say(f"{hosts[1].name} has drifted: its env file breaks v1.1.0 there, and there only")
    await stage.start("1.1.0")
    waiting = await stage.until(lambda status: status.gate is not None and status.gate.open)
    await stage.approve(waiting)
    await stage.until(lambda status: status.outcome is not None)
    result = await stage.handle.result()
    screen.say(f"[bold]{result['summary']}[/]")
    screen.say("Read back from the outside:")
    screen.check("outcome", result["outcome"], "rolled_back")
    for host, version, digest in zip(hosts, before, digests, strict=True):
        screen.check(f"{host.name} answers /version", await outside.answer(host), version)
        screen.check(f"{host.name} runs", [each["image"] for each in outside.running(host)], [digest])
    screen.check(f"{hosts[2].name} was never touched: up since", outside.started(hosts[2]), third)
    screen.check("postmortem issues", len(await outside.postmortems()), 1)
    screen.check("release records of v1.1.0", len(await outside.releases("1.1.0")), 0)


async def prove_release(stage: Stage, version: str, commit: str, digest: str) -> None:
    """Each fact of the release, read back without asking Temporal or the worker."""
    screen, outside = stage.screen, stage.outside
    screen.say("Read back from the outside:")
    tags = await outside.tags(version)
    screen.check("tag in git, annotated, on the commit", tags.get(f"refs/tags/v{version}^{{}}"), commit)
    screen.check("tags of this version", sum(not ref.endswith("^{}") for ref in tags), 1)
    image = f"{stage.house.facts.registry.address}/{stage.house.facts.registry.image}:v{version}@{digest}"
    for host in stage.house.facts.hosts:
        screen.check(f"{host.name} runs", [each["image"] for each in outside.running(host)], [image])
        screen.check(f"{host.name} answers /version", await outside.answer(host), f"v{version}")
    screen.check("release records on the forge", len(await outside.releases(version)), 1)
    rows = outside.ledger()
    released = [row for row in rows if row["action"] == "outcome" and row["version"] == version]
    screen.check("ledger: outcome rows of this release", [row["outcome"] for row in released], ["released"])
    screen.check("ledger: a row is kept twice", len(rows) - len({row["event"] for row in rows}), 0)
    screen.say(f"  {len(rows)} rows in the ledger")


def gate_text(board: str) -> str:
    """The part of the board between the gate's headline and the table of steps."""
    found = re.search(r"## ⚑ Gate.*?(?=\n\n\| )", board, re.DOTALL)
    return found[0] if found else board


async def _enter() -> None:
    """Until a line is there; not in a thread, which would wait for it even after Ctrl-C."""
    loop, pressed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, pressed.set)
    try:
        await pressed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    sys.stdin.readline()


async def _slow_engine(admin: str) -> None:
    """The host's engine takes its time with the next start, so that the worker can be killed in the middle of it."""
    rule = {"match": "POST /*containers/*/start", "kind": "delay", "seconds": 1.5, "times": 1}
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        (await client.post(f"{admin}/faults", json=rule)).raise_for_status()
