"""Runs, jobs and tasks as the forge remembers them; every change is one that a restart can go on from."""

from deploy.sandbox.forge_store import Document, ForgeStore, now
from deploy.sandbox.pipeline_workflow import Workflow

DONE = {"success", "failure", "cancelled", "skipped"}


class Records:
    """Status words are the raw ones: waiting, running, success, failure, cancelled, skipped."""

    def __init__(self, store: ForgeStore, user: str) -> None:
        self._store = store
        self._user = user

    def note_push(self, repo: str, ref: str, sha: str, event: str) -> Document:
        return self._store.add("push", repo, ref=ref, sha=sha, event=event)

    def pushes(self, repo: str) -> list[Document]:
        return self._store.all("push", repo)

    def forget_push(self, push: Document) -> None:
        self._store.remove("push", push)

    def unfinished(self, repo: str, **fields: str) -> list[Document]:
        return [run for run in self._store.all("run", repo, **fields) if run["status"] not in DONE]

    def create_run(self, push: Document, workflow: Workflow, title: str) -> Document | None:
        """The run of a push with its jobs; None where an earlier try at this push made it already."""
        repo, stamp = push["repo"], now()
        if self._store.all("run", repo, push=push["id"], workflow=workflow.file):
            return None
        times = {"created": stamp, "started": "", "stopped": ""}
        with self._store.together():
            run = self._store.add(
                "run",
                repo,
                push=push["id"],
                index=len(self._store.all("run", repo)) + 1,
                ref=push["ref"],
                sha=push["sha"],
                event=push["event"],
                title=title,
                workflow=workflow.file,
                workflow_name=workflow.name,
                user=self._user,
                status="waiting",
                updated=stamp,
                **times,
            )
            for name in workflow.jobs:
                self._store.add("job", repo, run_id=run["id"], name=name, status="waiting", log="", **times)
        return run

    def jobs(self, run: Document) -> list[Document]:
        return self._store.all("job", run["repo"], run_id=run["id"])

    def requeue(self, run: Document, *, failed_only: bool) -> bool:
        """Puts jobs back into the queue; false when there is none to put back."""
        again = [
            job for job in self.jobs(run) if not failed_only or job["status"] in {"failure", "cancelled", "skipped"}
        ]
        with self._store.together():
            for job in again:
                self._store.change("job", job, status="waiting", log="", started="", stopped="")
            if again:
                self._store.change("run", run, status="waiting", started="", stopped="", updated=now())
        return bool(again)

    def start_run(self, run: Document) -> None:
        self._store.change("run", run, status="running", started=now(), updated=now())

    def finish_run(self, run: Document, status: str) -> None:
        """The run and whatever of its jobs is not done yet end like this."""
        with self._store.together():
            for job in self.jobs(run):
                if job["status"] not in DONE:
                    self._store.change("job", job, status=status, stopped=now())
            self._store.change("run", run, status=status, stopped=now(), updated=now())

    def take_job(self, run: Document, job: Document) -> Document:
        """A runner takes the job: its task is a row of its own for each attempt."""
        stamp = now()
        shared = {key: run[key] for key in ("ref", "sha", "event", "title", "workflow", "index")}
        fields = {"run_id": run["id"], "name": job["name"], "status": "running", "created": stamp, "updated": stamp}
        with self._store.together():
            task = self._store.add("task", run["repo"], **shared, **fields)
            self._store.change("job", job, status="running", started=stamp, log="")
        self._report(run, job, "pending", "Has started running")
        return task

    def skip_job(self, job: Document) -> None:
        self._store.change("job", job, status="skipped", stopped=now())

    def end_job(self, run: Document, job: Document, task: Document, status: str) -> None:
        self.log(job, f"job {job['name']} ended: {status}")
        with self._store.together():
            self._store.change("task", task, status=status, updated=now())
            self._store.change("job", job, status=status, stopped=now())
        self._report(run, job, status, "Successful" if status == "success" else "Failing")

    def cancel_task(self, task: Document) -> None:
        self._store.change("task", task, status="cancelled", updated=now())

    def failures(self, run: Document, job: Document) -> int:
        """Of every run of this tag and commit: after a re-push the count goes on."""
        same = {"ref": run["ref"], "sha": run["sha"], "name": job["name"], "status": "failure"}
        return len(self._store.all("task", run["repo"], **same))

    def drop_stale_tasks(self, repo: str) -> None:
        """Tasks that ran when the forge was killed run no longer."""
        for task in self._store.all("task", repo, status="running"):
            self.cancel_task(task)

    def log(self, job: Document, line: str) -> None:
        self._store.change("job", job, log=f"{job['log']}{now()} {line}\n")

    def _report(self, run: Document, job: Document, state: str, description: str) -> None:
        stamp = now()
        self._store.add(
            "status",
            run["repo"],
            sha=run["sha"],
            status=state,
            context=f"{run['workflow_name']} / {job['name']} (push)",
            description=description,
            target_url=f"/{run['repo']}/actions/runs/{run['id']}",
            creator=self._user,
            created_at=stamp,
            updated_at=stamp,
        )
