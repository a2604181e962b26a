"""A gate that wants signed approvals, besieged: who has which key, and what was signed on other occasions."""

import asyncio
import contextlib
import tempfile
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.service import RPCError

from deploy.demo.house import House
from deploy.demo.outside import Outside
from runbook import names
from runbook.approval import lines_to_sign, text_of
from runbook.decision import Verdict
from runbook.status import GateView, Status
from tests.e2e.conftest import Play
from tests.signing import Key, allowed_signers

APPROVERS = ("alice", "bob", "dave", "erin")
_GATE = 'approvers = ["alice", "bob"]'

Decision = dict[str, Any]


@dataclass
class Siege:
    """alice and bob have keys. dave's was revoked, erin's is for git, mallory is on no list; zoe has a key unknown here."""

    house: House
    folder: Path
    keys: dict[str, Key] = field(default_factory=dict)
    version: str = ""
    earlier_release: Decision = field(default_factory=dict)
    earlier_run: Decision = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._file = self.house.facts.projects / "shop.toml"
        self._before = self._file.read_text()
        self.keys = {name: Key.make(self.folder, name) for name in (*APPROVERS, "mallory", "zoe")}
        options = {
            "alice": "",
            "bob": "",
            "mallory": "",
            "dave": 'valid-before="20200101Z"',
            "erin": 'namespaces="git"',
        }
        lines = [f"{name} {said} {self.keys[name].public}" for name, said in options.items()]
        self._signers = allowed_signers(self.folder / "allowed_signers", lines)

    def gate(self, **keys: str) -> None:
        """The project's gate from now on: these keys, as TOML writes them, beside the approvers and their signatures."""
        names = ", ".join(f'"{name}"' for name in APPROVERS)
        lines = [f"approvers = [{names}]", f'allowed_signers = "{self._signers}"']
        text = self._before
        for key in keys:
            text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith(f"{key} ="))
        lines += [f"{key} = {value}" for key, value in keys.items()]
        assert _GATE in text
        self._file.write_text(text.replace(_GATE, "\n".join(lines)))

    def lift(self) -> None:
        """The project's file as it was."""
        self._file.write_text(self._before)

    async def play(self, version: str = "") -> Play:
        return Play(
            self.house, await self.house.connect(), Outside(self.house), **({"version": version} if version else {})
        )

    async def prepare(self) -> None:
        """Another release and another run had their gates; then one waits."""
        before = await self.play()
        await before.start()
        self.earlier_release = self.approval(await before.at_gate())
        await self.abort(before)
        play = await self.play()
        self.version = play.version
        await play.start()
        self.earlier_run = self.approval(await play.at_gate())
        await self.abort(play)
        await self.house.starter("start", "shop", self.version, "--as", "carol")
        await play.at_gate()

    def approval(self, status: Status, by: str = "alice", *, key: str = "", namespace: str = "") -> Decision:
        """What `by` would send about what the gate shows; signed with another's `key` where one is named."""
        assert status.gate is not None
        text = text_of(lines_to_sign(status, status.gate, "approve", by))
        pair = self.keys[key or by]
        signature = pair.sign(text, namespace=namespace) if namespace else pair.sign(text)
        return {"decision": "approve", "by": by, "digest": status.gate.digest, "signature": signature}

    async def abort(self, play: Play) -> None:
        await play.house.starter("abort", "shop", "--reason", "only a test", "--as", "bob")
        await play.ended()

    async def production(self) -> list[str]:
        """Which container serves on each production host, and since when: another of either is a change."""
        outside = Outside(self.house)
        hosts = self.house.facts.having("production")
        since = await asyncio.gather(*(asyncio.to_thread(outside.started, host) for host in hosts))
        return [f"{host.name} {await outside.answer(host)} {at}" for host, at in zip(hosts, since, strict=True)]


@contextlib.contextmanager
def besieged(house: House) -> Generator[Siege]:
    """A worker runs; afterwards nothing holds the lane and the project's file is as it was."""
    if house.worker is None or not house.worker.running():
        house.start_worker()
    with tempfile.TemporaryDirectory() as folder:
        siege = Siege(house, Path(folder))
        try:
            yield siege
        finally:
            siege.lift()
            asyncio.run(_free(siege))


async def _free(siege: Siege) -> None:
    play = await siege.play()
    with contextlib.suppress(RPCError):
        await play.handle.terminate("the tests have ended")


async def decided(play: Play, decision: Decision) -> Verdict:
    """What the update `decide` answers."""
    return Verdict.model_validate(await play.handle.execute_update(names.DECIDE, decision))


def as_signal(decision: Decision) -> Decision:
    """The same as the payload of a signal, whose name says what it is."""
    return {key: value for key, value in decision.items() if key != "decision"}


def view(status: Status) -> GateView:
    assert status.gate is not None
    return status.gate
