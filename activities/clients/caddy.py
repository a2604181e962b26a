"""Caddy on a host, spoken to through its admin API: one handler's upstream, changed only as it was last seen."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

from activities.clients.engine_errors import Moved
from activities.errors import Refused, StepError, Unreachable
from runbook.proxy_table import ProxyTable

_JSON = {"content-type": "application/json"}
# What Caddy reads nothing from, and everybody who looks at its configuration can.
_ID = "@id"


@dataclass(frozen=True)
class Traffic:
    """Where a service's requests go. `upstream` is `address:port`, None where they go nowhere yet.

    `epoch` is of the run that last took it into its hands (0 where none did), `turn` counts how often it did.
    `seen` is what a change of it must still find.
    """

    upstream: str | None
    epoch: int = 0
    turn: int = 0
    seen: str = ""
    entry: dict[str, Any] = field(default_factory=dict[str, Any])

    def next_turn(self, epoch: int) -> int:
        return self.turn + 1 if self.epoch == epoch else 1


class Caddy:
    """`http` reaches the admin API of `host`."""

    def __init__(self, http: httpx.AsyncClient, host: str, table: ProxyTable) -> None:
        self.host = host
        self._http = http
        self._table = table
        name = "localhost" if table.admin.startswith("/") else table.admin
        self._upstreams = f"http://{name}/id/{table.handler}/upstreams"
        self._status = f"http://{name}/reverse_proxy/upstreams"

    async def traffic(self) -> Traffic:
        """Where the handler's requests go now.

        Raises:
            Refused: there is no such handler, or it has several upstreams.
            Unreachable: the admin API did not answer.
        """
        answer = await self._ask("GET", self._upstreams)
        if answer.status_code == 404:
            raise self._wrong(f"has no handler with the @id {self._table.handler}")
        entries = self._read(answer)
        if not isinstance(entries, list):
            raise self._wrong(f"has no upstreams in the handler {self._table.handler}, not even an empty list")
        found = cast("list[dict[str, Any]]", entries)
        if len(found) > 1:
            raise self._wrong(f"sends {self._table.handler} to {len(found)} upstreams, and a release switches one")
        seen = answer.headers.get("etag", "")
        return self._traffic(found[0], seen) if found else Traffic(None, seen=seen)

    async def send(self, last: Traffic, upstream: str, epoch: int) -> None:
        """Requests go to `upstream` from now on, if all is as `last` saw it; what is being answered is not cut.

        Raises:
            Moved: somebody changed it since.
            Refused, Unreachable: as `traffic`.
        """
        turn = f"{self._table.handler}:{epoch}:{last.next_turn(epoch)}"
        entry = {**last.entry, _ID: turn, "dial": upstream}
        headers = {**_JSON, "if-match": last.seen}
        answer = await self._ask("PATCH", self._upstreams, content=json.dumps([entry]), headers=headers)
        if answer.status_code == 200:
            return
        # Caddy has several words for a handler that is not where it was; what counts is whether all is as it was seen.
        if answer.status_code == 412 or (await self.traffic()).seen != last.seen:
            raise Moved(f"the proxy of {self.host} was changed by somebody else meanwhile; looked at again")
        raise self._refused(answer)

    async def under_way(self, upstream: str) -> int:
        """How many requests it is still answering, also after traffic was sent elsewhere."""
        answer = await self._ask("GET", self._status)
        entries = cast("list[dict[str, Any]]", self._read(answer) or [])
        return sum(int(entry["num_requests"]) for entry in entries if entry.get("address") == upstream)

    def _traffic(self, entry: dict[str, Any], seen: str) -> Traffic:
        said = re.fullmatch(rf"{re.escape(self._table.handler)}:(\d+):(\d+)", str(entry.get(_ID, "")))
        epoch, turn = (int(said[1]), int(said[2])) if said else (0, 0)
        return Traffic(entry.get("dial"), epoch, turn, seen, entry)

    async def _ask(self, method: str, url: str, **what: Any) -> httpx.Response:
        try:
            return await self._insist(method, url, **what)
        except httpx.HTTPError as error:
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise Unreachable(
                f"Caddy of {self.host} did not answer at {self._table.admin} ({said}): is it running there?"
            ) from None

    async def _insist(self, method: str, url: str, **what: Any) -> httpx.Response:
        """Caddy opens its admin API anew at every change, and ends what came just before without an answer: looks are repeated."""
        try:
            return await self._http.request(method, url, **what)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            if method != "GET":
                raise
            return await self._http.request(method, url, **what)

    def _read(self, answer: httpx.Response) -> Any:
        if answer.status_code != 200:
            raise self._refused(answer)
        try:
            return answer.json()
        except ValueError:
            raise Unreachable(f"what answers at {self._table.admin} of {self.host} is not Caddy's admin API") from None

    def _refused(self, answer: httpx.Response) -> StepError:
        said = " ".join(answer.text.split())[:500]
        wrong = f"Caddy of {self.host} answered {answer.status_code} at {self._table.admin}: {said}"
        return Refused(wrong) if answer.status_code < 500 else Unreachable(wrong)

    def _wrong(self, what: str) -> Refused:
        return Refused(f"Caddy of {self.host} {what}: correct its configuration, as deploy/hosts.md shows")
