"""The worker as worker.py builds it, whose ways to the outside lead past the points at which faults happen."""

import asyncio
import os
import re
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import httpx
import requests
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.clients.engine import Engine
from activities.clients.git import GitClient, Tagger
from activities.clients.git_command import GitCommand, Output
from activities.clients.git_mirror import Mirrors
from activities.clients.git_push import TagPush
from activities.clients.git_remote import Remote
from activities.clients.hosts import Hosts
from activities.clients.http import new_client
from activities.clients.ledger import Ledger
from activities.clients.notifier import Notifier
from activities.errors import NotYet, Unreachable
from deploy.sandbox.sandbox_facts import HostFacts, SandboxFacts
from runbook.message import Order
from runbook.record import EntriesToKeep, Entry, NoticeToSend
from runbook.step import FETCH_WITHIN
from tests.chaos.fault import BUSY, CLOCK, CUT_AFTER, CUT_BEFORE, ERROR, TIMEOUT
from tests.chaos.points import FOLDER, Points, masked, within
from worker import Reach, main

SANDBOX = "CHAOS_SANDBOX"
_STATUS = {ERROR: 500, BUSY: 429}
_LONGER_THAN_ANYBODY_WAITS = 14.0
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT(\d\d)(?=:\d\d:\d\d)")


class Doors:
    """Where the sandbox is told to break: rules that hit one request."""

    def __init__(self, facts: SandboxFacts) -> None:
        self.facts = facts

    def rule(self, door: str, match: str, fault: str) -> None:
        rule: dict[str, Any] = {"match": match, "times": 1}
        if fault in _STATUS:
            rule |= {"kind": "status", "status": _STATUS[fault]}
        elif fault == TIMEOUT:
            rule |= {"kind": "delay", "seconds": _LONGER_THAN_ANYBODY_WAITS}
        elif fault in {CUT_BEFORE, CUT_AFTER}:
            rule |= {"kind": fault.replace("cut-", "drop_")}
        else:
            return
        self.post(door, rule)

    def post(self, url: str, body: dict[str, Any] | None = None) -> None:
        httpx.post(url, json=body, timeout=10, trust_env=False).raise_for_status()

    def host(self, address: str) -> HostFacts:
        return next(host for host in self.facts.hosts if host.address == address)


class PassingTransport(httpx.AsyncBaseTransport):
    """Every request to the forge and the registry."""

    def __init__(self, inner: httpx.AsyncBaseTransport, points: Points, doors: Doors) -> None:
        self._inner, self._points, self._doors = inner, points, doors

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        label = f"http {request.method} {masked(request.url.path)}"
        fault = await asyncio.to_thread(self._points.passing, label, "before")
        if fault:
            door = f"{request.url.scheme}://{request.url.netloc.decode()}/-/faults"
            await asyncio.to_thread(self._doors.rule, door, f"{request.method} {request.url.path}", fault)
        answer = await self._inner.handle_async_request(request)
        await asyncio.to_thread(self._points.passing, label, "after")
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


class PassingGitCommand(GitCommand):
    """Every git command that speaks to the remote."""

    def __init__(self, folder: Path, limit: timedelta, points: Points, doors: Doors) -> None:
        super().__init__(folder, limit)
        self._points, self._doors = points, doors

    async def run(self, words: Sequence[str], *, at: Path, remote: Remote | None = None, **more: Any) -> Output:
        if remote is None:
            return await super().run(words, at=at, **more)
        label = f"git {words[0]}"
        fault = await asyncio.to_thread(self._points.passing, label, "before")
        if fault:
            service = "git-receive-pack" if words[0] == "push" else "git-upload-pack"
            match = f"POST */{service}" if fault == CUT_AFTER else "GET */info/refs"
            await asyncio.to_thread(self._doors.rule, self._doors.facts.forge.faults, match, fault)
        done = await super().run(words, at=at, remote=remote, **more)
        await asyncio.to_thread(self._points.passing, label, "after")
        return done


class PassingGit(GitClient):
    def __init__(self, folder: Path, tagger: Tagger, *, points: Points, doors: Doors) -> None:
        super().__init__(folder, tagger)
        self._git = PassingGitCommand(folder, self._git.limit, points, doors)
        self._mirrors = Mirrors(self._git, folder / "mirrors", FETCH_WITHIN)
        self._tags = TagPush(self._git, tagger)


class PassingAdapter(requests.adapters.BaseAdapter):
    """Every request to one host's engine; looks pass no point, but they see the host's clock."""

    def __init__(self, inner: requests.adapters.BaseAdapter, host: HostFacts, points: Points, doors: Doors) -> None:
        super().__init__()
        self._inner, self._host, self._points, self._doors = inner, host, points, doors

    def send(self, request: requests.PreparedRequest, *words: Any, **more: Any) -> requests.Response:
        path = (request.path_url or "").partition("?")[0]
        if request.method == "GET":
            answer = self._inner.send(request, *words, **more)
            return answer if more.get("stream") else self._by_its_clock(answer)
        label = f"engine {request.method} {re.sub(r'containers/[^/]+/', 'containers/*/', masked(path))[1:]}"
        fault = self._points.passing(label, "before")
        if fault == CUT_BEFORE:
            self._doors.post(f"{self._host.admin}/cut")
        elif fault:
            self._doors.rule(f"{self._host.admin}/faults", f"{request.method} {path}", fault)
        answer = self._inner.send(request, *words, **more)
        self._points.passing(label, "after")
        return answer

    def close(self) -> None:
        self._inner.close()

    def _by_its_clock(self, answer: requests.Response) -> requests.Response:
        """The host's clock is an hour ahead from the moment its fault fires to the end of the run."""
        if self._points.is_off(self._host.name):
            answer._content = _TIME.sub(lambda seen: seen[0][:-2] + b"%02d" % ((int(seen[1]) + 1) % 24), answer.content)
        return answer


class PassingHosts(Hosts):
    def __init__(self, points: Points, doors: Doors) -> None:
        super().__init__()
        self._points, self._doors = points, doors

    async def engine(self, environment: Any, host: str) -> Engine:
        engine = await super().engine(environment, host)
        # What the SDK's client is: a session of requests, with an adapter for its socket.
        session, scheme = engine._api, "http+docker://"
        adapter = session.get_adapter(f"{scheme}localhost")
        if not isinstance(adapter, PassingAdapter):
            session.mount(scheme, PassingAdapter(adapter, self._doors.host(host), self._points, self._doors))
        return engine


class PassingLedger(Ledger):
    def __init__(self, url: str, *, points: Points) -> None:
        super().__init__(url)
        self._points = points

    async def keep(self, order: Order, entries: Sequence[Entry]) -> str:
        await asyncio.to_thread(self._points.passing, "ledger", "before")
        head = await super().keep(order, entries)
        await asyncio.to_thread(self._points.passing, "ledger", "after")
        return head


class PassingNotifier(Notifier):
    def __init__(self, points: Points) -> None:
        super().__init__()
        self._points = points

    async def send(self, reference: str, title: str, body: str) -> None:
        fault = await asyncio.to_thread(self._points.passing, "notify", "before")
        if fault == CUT_BEFORE:
            raise Unreachable(f"{reference}: the connection was cut")
        await super().send(reference, title, body)
        if fault == CUT_AFTER:
            raise Unreachable(f"{reference}: the connection was cut after it was sent")
        await asyncio.to_thread(self._points.passing, "notify", "after")


class Around(Interceptor):
    """Outside of the step's own interceptor, and inside."""

    def __init__(self, points: Points, doors: Doors, kind: type["_Around"]) -> None:
        self._points, self._doors, self._kind = points, doors, kind

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        return self._kind(next, self._points, self._doors)


class _Around(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, points: Points, doors: Doors) -> None:  # noqa: A002 - Temporal's name
        super().__init__(next)
        self._points, self._doors = points, doors


class Outer(_Around):
    """A step begins; and what it found is kept, and not yet reported."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's name
        info, order = activity.info(), input.args[0]
        kind = (info.workflow_type or "").removesuffix("Workflow").lower()
        host = self._doors.host(order.place).name if order.place else ""
        name = f"{kind}/{info.activity_type}{_which(order)}" + (f"@{host}" if host else "")
        with within(name, info.attempt):
            if await asyncio.to_thread(self._points.passing, "begun") == CLOCK:
                self._points.set_off(host)
            try:
                found = await super().execute_activity(input)
            except ApplicationError as error:
                await asyncio.to_thread(self._points.passing, f"told-{error.type}")
                raise
            await asyncio.to_thread(self._points.passing, "kept")
            return found


class Inner(_Around):
    """The step's work has ended, and nothing is kept of it yet."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's name
        try:
            found = await super().execute_activity(input)
        except NotYet:
            await asyncio.to_thread(self._points.passing, "waits")
            raise
        await asyncio.to_thread(self._points.passing, "ended")
        return found


def _which(order: Any) -> str:
    """Tells steps apart that a release performs several times beside its way."""
    if isinstance(order, NoticeToSend):
        return f"[{masked(order.key)}]"
    if isinstance(order, EntriesToKeep):
        return f"[{order.entries[0].action} {order.entries[0].outcome}]"
    return ""


def serve() -> NoReturn:
    """A worker of the sweep; where it notes what it passes and finds the sandbox is in its environment."""
    points, doors = Points(Path(os.environ[FOLDER])), Doors(SandboxFacts.read(Path(os.environ[SANDBOX])))

    def http() -> httpx.AsyncClient:
        client = new_client()
        client._transport = PassingTransport(client._transport, points, doors)
        return client

    main(
        Reach(
            http=http,
            git=partial(PassingGit, points=points, doors=doors),
            hosts=partial(PassingHosts, points, doors),
            ledger=partial(PassingLedger, points=points),
            notifier=partial(PassingNotifier, points),
            around=lambda step: [Around(points, doors, Outer), step, Around(points, doors, Inner)],
        )
    )


if __name__ == "__main__":
    serve()
