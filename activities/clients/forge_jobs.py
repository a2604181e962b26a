"""The jobs of a run, the end of their logs, and the run once more: as far as the forge can be asked."""

import re

from activities.clients.forge_call import ForgeCall
from activities.clients.forge_json import Row, rows, text, whole
from activities.clients.forge_states import Job, Run, job_of

_LINES = 12
_LONGEST = 300
_TAIL = 16 * 1024
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\r")


async def jobs_of(call: ForgeCall, run: Run) -> list[Job] | None:
    """The newest of each job of the run; None where the forge does not tell."""
    if run.seen is not None:
        return list(run.seen)
    path = f"{call.repo}/actions/runs/{run.id}/jobs"
    probed = await call.ask("GET", path, query={"limit": 1, "page": 1}, but={403, 404})
    if probed.status >= 300:
        return None
    # Forgejo answers the bare list, all of it.
    whole_list = isinstance(probed.json(), list)
    found = rows(probed.json()) if whole_list else await call.listed(path, "jobs")
    newest = {text(job, "name"): job for job in sorted(found, key=_age)}
    return [job_of(job, run.url) for job in newest.values()]


async def log_tail(call: ForgeCall, job: Job) -> list[str]:
    """The last lines of the job's log; none where the forge has no such endpoint, or no longer the log."""
    content = await call.tail(f"{call.repo}/actions/jobs/{job.id}/logs", _TAIL)
    lines = _ESCAPES.sub("", (content or b"").decode(errors="replace")).splitlines()
    return [line.rstrip()[:_LONGEST] for line in lines if line.strip()][-_LINES:]


async def rerun(call: ForgeCall, run: Run) -> str:
    """Ask for the failed run once more; empty when the forge does it, else why it can't be asked."""
    reply = await call.ask("POST", f"{call.repo}/actions/runs/{run.id}/rerun", but={400, 403, 404, 405, 422})
    if reply.status < 300:
        return ""
    if reply.status == 403:
        return "the token may not write Actions"
    if reply.status in {404, 405}:
        return "this forge re-runs only by hand"
    return f"the forge answered {reply.status}"


def _age(job: Row) -> tuple[int, int]:
    return max(whole(job, "attempt"), whole(job, "run_attempt")), whole(job, "id")
