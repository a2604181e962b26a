"""What is really there after a run, read back from the outside, and what of it is wrong."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from activities.clients.ledger import Ledger
from deploy.demo.outside import Outside
from runbook.status import Outcome, State, Status
from tests.chaos.house import ChaosHouse

_NOTICE = re.compile(r"notice ([0-9a-f]{10})")
_PERSON = "needs a person"


@dataclass
class Verdict:
    """`faults` is everything that is wrong; the others count what the last line of a sweep says."""

    faults: list[str] = field(default_factory=list[str])
    duplicates: list[str] = field(default_factory=list[str])
    human: list[str] = field(default_factory=list[str])
    mixed: list[str] = field(default_factory=list[str])
    told_twice: int = 0

    def doubled(self, what: str) -> None:
        self.duplicates.append(what)
        self.faults.append(what)


@dataclass(frozen=True)
class Before:
    """What was there when the run began."""

    commit: str
    postmortems: int
    version: str
    notices: int

    @classmethod
    async def of(cls, house: ChaosHouse, commit: str) -> "Before":
        outside = Outside(house)
        version = await outside.answer(house.facts.having("production")[0])
        return cls(commit, await open_postmortems(outside), version, len(await notices(house)))


async def judge(
    house: ChaosHouse, outside: Outside, before: Before, version: str, status: Status | None, wanted: Outcome
) -> Verdict:
    verdict = Verdict()
    found = status.outcome if status else None
    if found is not wanted:
        where = f"at {status.stage}: {status.summary or status.messages[-3:]}" if status else "no status"
        verdict.faults.append(f"outcome {found}, wanted {wanted} ({where})")
    await _of_the_forge(outside, before, version, wanted, verdict)
    await _of_the_hosts(
        house, outside, f"v{version}" if wanted is Outcome.RELEASED else before.version, version, verdict
    )
    await _of_the_ledger(house, outside, version, status, verdict)
    told = Counter(_NOTICE.findall(" ".join(str(each) for each in (await notices(house))[before.notices :])))
    verdict.told_twice = sum(times - 1 for times in told.values())
    return verdict


async def open_postmortems(outside: Outside) -> int:
    """One that a frozen worker asked for too late it closes again when it wakes, where its token may not delete."""
    return sum(issue["state"] == "open" for issue in await outside.postmortems())


async def _of_the_forge(outside: Outside, before: Before, version: str, wanted: Outcome, verdict: Verdict) -> None:
    tags = await outside.tags(version)
    if tags.get(f"refs/tags/v{version}^{{}}") != before.commit or len(tags) != 2:
        verdict.faults.append(f"tags {tags}, wanted one on {before.commit}")
    runs = [run for run in (await outside.forge("actions/tasks"))["workflow_runs"] if run["head_sha"] == before.commit]
    built = [run for run in runs if run["event"] == "push" and run["head_branch"] == f"v{version}"]
    if len(built) > 1:
        verdict.doubled(f"{len(built)} builds of the tag")
    for what, found, right in (
        ("release records", len(await outside.releases(version)), int(wanted is Outcome.RELEASED)),
        ("new postmortems", await open_postmortems(outside) - before.postmortems, int(wanted is Outcome.ROLLED_BACK)),
    ):
        if found > right:
            verdict.doubled(f"{found} {what}, wanted {right}")
        elif found < right:
            verdict.faults.append(f"{found} {what}, wanted {right}")


async def _of_the_hosts(house: ChaosHouse, outside: Outside, wanted: str, version: str, verdict: Verdict) -> None:
    """Every host of production on one version, with exactly one container up, which is the one that answers."""
    seen: dict[str, str] = {}
    for host in house.facts.having("production"):
        running = outside.running(host)
        if len(running) != 1:
            verdict.faults.append(f"{host.name} runs {[each['name'] for each in running]}")
        try:
            seen[host.name] = await outside.answer(host)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            seen[host.name] = f"no answer ({type(error).__name__})"
        made = [each["name"] for each in await containers(house, host.name) if _is_of(each, version)]
        if len(made) > 1:
            verdict.doubled(f"{host.name} has {len(made)} containers of v{version}: {made}")
    if len(set(seen.values())) > 1:
        verdict.mixed.append(f"mixed: {seen}")
        verdict.faults.append(f"mixed: {seen}")
    elif set(seen.values()) != {wanted}:
        verdict.faults.append(f"production is on {seen}, wanted {wanted}")


def _is_of(container: dict[str, Any], version: str) -> bool:
    labels, name = container["labels"], container["name"]
    return labels.get("runbook.version") == version and "-fence-" not in name and "-gone-" not in name


async def _of_the_ledger(
    house: ChaosHouse, outside: Outside, version: str, status: Status | None, verdict: Verdict
) -> None:
    ledger = Ledger(f"sqlite:///{outside.ledger_file()}")
    try:
        broken = await ledger.verify()
    finally:
        ledger.close()
    if broken:
        verdict.faults.append(f"ledger: {broken.why}")
    every = outside.ledger()
    twice = [event for event, times in Counter(row["event"] for row in every).items() if times > 1]
    if twice:
        verdict.doubled(f"ledger: kept twice: {twice[:3]}")
    rows = [row for row in every if row["version"] == version and row["workflow"] == "release-shop"]
    ends = [row["outcome"] for row in rows if row["action"] == "outcome"]
    if status and status.outcome and ends != [str(status.outcome)]:
        verdict.faults.append(f"ledger: outcome rows {ends}")
    verdict.human += [row["detail"] for row in every if row["version"] == version and _asks(row)]
    if status and status.outcome:
        kept = {(row["action"], row["place"]) for row in rows if row["outcome"] == "done"}
        done = {(row.name, row.host) for row in status.rows if row.state is State.DONE}
        if done - kept:
            verdict.faults.append(f"ledger: no row of {sorted(done - kept)}")


def _asks(row: dict[str, Any]) -> bool:
    return row["action"] == "notice" and _PERSON in row["detail"]


async def notices(house: ChaosHouse) -> list[Any]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.get(f"{house.facts.admin}/on-call")
        return list(answer.raise_for_status().json())


async def containers(house: ChaosHouse, host: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.get(f"{house.facts.admin}/state")
        return list(answer.raise_for_status().json()["hosts"][host]["containers"])
