"""One host's names and labels, and the ones that its containers really have on the machine's engine."""

import json
import re
import secrets
from collections.abc import Callable
from typing import Any

from deploy.sandbox.engine_errors import EngineError

LABEL = "sandbox.host"

Json = dict[str, Any]
Keep = Callable[[list[Json]], list[Json]]


class Words:
    """Inside, a name begins with `prefix` and a container carries `label`; outside, neither is seen."""

    def __init__(self, *, owner: str, host: str, address: str) -> None:
        self.host = host
        self.key = f"{owner}.{host}"
        self.prefix = f"sandbox.{self.key}."
        self.label = f"{LABEL}={self.key}"
        self._address = address

    def inner_name(self, name: str | None) -> str:
        """A made-up one where none is asked for."""
        return self.prefix + (name or secrets.token_hex(4)).removeprefix("/")

    def new_name(self, name: str | None) -> str:
        if not name:
            raise EngineError(400, "Neither old nor new names may be empty")
        return self.inner_name(name)

    def body(self, asked: Json) -> Json:
        """A request to create: labelled, and published on the host's address wherever it asked to be."""
        host_config = asked.get("HostConfig") or {}
        bindings = {
            port: [{**each, "HostIp": self._address} for each in places or [{}]]
            for port, places in (host_config.get("PortBindings") or {}).items()
        }
        labels = {**(asked.get("Labels") or {}), LABEL: self.key}
        return {**asked, "Labels": labels, "HostConfig": {**host_config, "PortBindings": bindings}}

    def list_query(self, query: dict[str, str]) -> tuple[dict[str, str], Keep]:
        """What to ask the engine, and what to keep of its answer: patterns of names and limits are the host's own."""
        filters = json.loads(query.pop("filters", "") or "{}")
        given = {key: list(values) for key, values in filters.items()}
        patterns = given.pop("name", [])
        limit = int(query.pop("limit", "") or 0)
        given["label"] = [*given.get("label", []), self.label]

        def keep(rows: list[Json]) -> list[Json]:
            found = [row for row in rows if not patterns or any(_named(row, pattern) for pattern in patterns)]
            return found[:limit] if limit > 0 else found

        return {**query, "filters": json.dumps(given)}, keep

    def shown(self, answer: Any) -> Any:
        """The engine's answer in the host's words."""
        if isinstance(answer, dict):
            return {key: self.shown(value) for key, value in answer.items() if not (key == LABEL and value == self.key)}
        if isinstance(answer, list):
            return [self.shown(each) for each in answer]
        return answer.replace(self.prefix, "") if isinstance(answer, str) else answer


def _named(row: Json, pattern: str) -> bool:
    names = [form for name in row["Names"] for form in (name, name.removeprefix("/"))]
    return any(re.search(pattern, name) for name in names)
