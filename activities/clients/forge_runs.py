"""The runs of a commit: by the runs API where the forge has one, else put together from the tasks of its runners."""

from datetime import UTC, datetime, timedelta
from enum import Enum

from activities.clients.forge_call import ForgeCall
from activities.clients.forge_json import Row, row, text, whole
from activities.clients.forge_states import Mark, Run, State, job_of, run_of
from activities.errors import Refused

_MOST_PAGES = 60
_CLOCKS_DIFFER = timedelta(days=1)
_BEGINNING = datetime(1, 1, 3, tzinfo=UTC)


class Actions(Enum):
    """How this forge tells what its runners did for this repository."""

    BY_RUNS = "runs"
    BY_TASKS = "tasks"
    OFF = "off"


async def actions_of(call: ForgeCall) -> Actions:
    """Ask once what there is: a missing endpoint must never be read as "no run".

    Raises:
        Refused: the repository itself is not there, or the token may not see its runs.
    """
    probed = await call.ask("GET", f"{call.repo}/actions/runs", query={"limit": 1, "page": 1}, but={403, 404})
    if probed.status < 300:
        return Actions.BY_RUNS
    repository = row((await call.ask("GET", call.repo)).json())
    if repository.get("has_actions") is False:
        return Actions.OFF
    if probed.status == 403:
        await call.ask("GET", f"{call.repo}/actions/runs", query={"limit": 1, "page": 1})
    return Actions.BY_TASKS


async def runs_of(call: ForgeCall, commit: str, *, tag: str = "", workflow: str = "") -> list[Run]:
    """Every run on the commit, newest first; `tag` and `workflow` narrow it down where the forge can."""
    query: dict[str, str | int] = {"head_sha": commit}
    if tag:
        # What a forge does not know of these it ignores: whoever asked looks at the runs itself.
        query |= {"event": "push", "ref": f"refs/tags/{tag}", "workflow_id": workflow}
    found = await call.listed(f"{call.repo}/actions/runs", "workflow_runs", query)
    runs = [run for run in map(run_of, found) if run.commit == commit]
    return sorted(runs, key=lambda run: run.id, reverse=True)


async def runs_by_tasks(call: ForgeCall, commit: str, since: datetime) -> list[Run]:
    """Every run on the commit of which a runner took a job since then, newest first."""
    tasks: dict[int, list[Row]] = {}
    for page in range(1, _MOST_PAGES + 1):
        found, _ = await call.page(f"{call.repo}/actions/tasks", page, key="workflow_runs")
        for task in found:
            if text(task, "head_sha") == commit:
                tasks.setdefault(whole(task, "run_number"), []).append(task)
        if not found or _moment(text(found[-1], "created_at")) < since - _CLOCKS_DIFFER:
            return [_run_of_tasks(tasks[number]) for number in sorted(tasks, reverse=True)]
    raise Refused(f"{call.repo} at {call.server} has too many tasks since {since:%Y-%m-%d}: upgrade the forge")


async def committed_at(call: ForgeCall, commit: str) -> datetime:
    """When the commit was made; the beginning of time where the forge does not tell."""
    reply = await call.ask("GET", f"{call.repo}/git/commits/{commit}", but={404})
    return _moment(text(row(reply.json()), "created") if reply.status == 200 else "")


async def mark_of(call: ForgeCall, run: Run) -> Mark:
    """What tells this end of the run from the end of a later re-run."""
    if run.seen is not None:
        return Mark(f"{run.number}/{run.state}", max(job.id for job in run.seen))
    found, _ = await call.page(f"{call.repo}/actions/tasks", 1, key="workflow_runs")
    mine = [whole(task, "id") for task in found if whole(task, "run_number") == run.number]
    return Mark(f"{run.id}/{run.state}/{run.end}", max(mine, default=0))


def _run_of_tasks(tasks: list[Row]) -> Run:
    """A re-run adds rows: of each job the newest counts."""
    newest = {text(task, "name"): task for task in sorted(tasks, key=lambda task: whole(task, "id"))}
    first = tasks[0]
    number, url = whole(first, "run_number"), text(first, "url")
    jobs = tuple(job_of(task, url) for task in newest.values())
    return Run(
        id=number,
        number=number,
        url=url,
        workflow=text(first, "workflow_id"),
        event=text(first, "event"),
        ref=text(first, "head_branch"),
        commit=text(first, "head_sha"),
        state=_together({job.state for job in jobs}),
        seen=jobs,
    )


def _together(states: set[State]) -> State:
    for state in (State.RUNNING, State.WAITING, State.FAILURE, State.CANCELLED):
        if state in states:
            return state
    return State.SUCCESS


def _moment(written: str) -> datetime:
    """RFC 3339 with whichever offset; the beginning of time when it is none."""
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return _BEGINNING
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
