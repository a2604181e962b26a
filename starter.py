"""The operator's command line: start, watch and decide releases. What each command does is in `console/`."""

from process import keyboard, packages

if __name__ == "__main__":
    keyboard.leave_quietly()  # what is imported below takes half a second and more

packages.require("starter.py", "typer", "temporalio", "pydantic", "rich")

import contextlib
import io
import sys
from typing import Annotated, NoReturn

import typer

from console import begin, catalogue, decide, drift_check, exit_status, follow, gate, look, session
from console.output import Output, Unwritable
from console.refusal import stated
from process.ending import end
from runbook import names

app = typer.Typer(
    help="Start, watch and decide releases.",
    epilog="Exit status:\n\n" + exit_status.table(),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Project = Annotated[str, typer.Argument(help="The project's name, like shop", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON on standard output")]
By = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who you are; RUNBOOK_USER or the login's name")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in one line", show_default=False)]
Wait = Annotated[bool, typer.Option("--wait", help="Follow it to its end; the exit status says which")]
Digest = Annotated[str | None, typer.Option("--digest", help="The digest on show at the gate", show_default=False)]
Sign = Annotated[
    str | None,
    typer.Option("--sign", metavar="KEY|agent", help="Sign it with this SSH key, or with the agent's only one"),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=500)]


@app.callback()
def starter(*, debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error")] = False) -> None:
    session.show_tracebacks.set(debug)


@app.command()
def start(
    project: Project,
    version: Annotated[str, typer.Argument(help="Like 1.4.0, without v", show_default=False)],
    commit: Annotated[str | None, typer.Option(help="Full commit id; the branch's head when left out")] = None,
    reason: Annotated[str, typer.Option(help="Why, in one line")] = "",
    by: By = None,
    *,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Start a release and see it admitted or refused."""
    _do(lambda: begin.release(project, version, commit=commit, reason=reason, by=by, wait=wait), json=json)


@app.command()
def rollback(
    project: Project,
    reason: Reason = "",
    to: Annotated[str | None, typer.Option(help="A version of --list; the last good one when left out")] = None,
    by: By = None,
    limit: Limit = 20,
    *,
    listing: Annotated[bool, typer.Option("--list", help="Only list the versions one can go back to")] = False,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Return production to an earlier version, when no release is going on."""
    if listing:
        _do(lambda: catalogue.good_versions(project, limit), json=json)
    _do(lambda: begin.rollback(project, to=to, reason=reason, by=by, wait=wait), json=json)


@app.command()
def status(project: Project, *, json: Json = False) -> None:
    """Show how the project's newest release or rollback stands."""
    _do(lambda: look.status(project), json=json)


@app.command()
def watch(project: Project, *, json: Json = False) -> None:
    """Show the board live until the release ends."""
    _do(lambda: follow.watch(project), json=json)


@app.command("list")
def list_(limit: Limit = 30, *, json: Json = False) -> None:
    """List the releases: those that wait for people first, then the newest."""
    _do(lambda: catalogue.runs(limit), json=json)


@app.command()
def approve(
    project: Project,
    digest: Digest = None,
    comment: Annotated[str, typer.Option(help="Kept with the approval")] = "",
    by: By = None,
    sign: Sign = None,
    *,
    json: Json = False,
) -> None:
    """Authorize exactly the digest on show at the gate."""
    _do(lambda: decide.judge(project, names.APPROVE, digest=digest, comment=comment, by=by, key=sign), json=json)


@app.command()
def reject(
    project: Project,
    comment: Annotated[str, typer.Option(help="Why not", show_default=False)],
    digest: Digest = None,
    by: By = None,
    *,
    json: Json = False,
) -> None:
    """End the release at the gate: nothing is promoted."""
    _do(
        lambda: decide.judge(project, names.REJECT, digest=digest, comment=stated(comment, "--comment"), by=by),
        json=json,
    )


@app.command("gate")
def gate_(
    project: Project,
    by: By = None,
    reason: Annotated[str, typer.Option(help="Goes with the reminder")] = "",
    *,
    remind: Annotated[bool, typer.Option("--remind", help="Tell the approvers who have not decided yet")] = False,
    json: Json = False,
) -> None:
    """Show what waits at the gate, and exactly what an approval would sign."""
    if remind:
        _do(lambda: decide.instruct(project, names.REMIND, reason=reason, step=None, by=by), json=json)
    _do(lambda: gate.show(project, by=by), json=json)


@app.command()
def retry(
    project: Project,
    reason: Reason,
    step: Annotated[str | None, typer.Option(help="Only this step; all that wait when left out")] = None,
    by: By = None,
    *,
    json: Json = False,
) -> None:
    """Try again what waits for a person."""
    _do(lambda: decide.instruct(project, names.RETRY, reason=reason, step=step, by=by), json=json)


@app.command()
def abort(project: Project, reason: Reason, by: By = None, *, json: Json = False) -> None:
    """Stop; after promotion began, roll back."""
    _do(lambda: decide.instruct(project, names.ABORT, reason=reason, step=None, by=by), json=json)


@app.command("roll-back")
def roll_back(project: Project, reason: Reason, by: By = None, *, json: Json = False) -> None:
    """Make the release that goes on now return production to what ran before."""
    _do(lambda: decide.instruct(project, names.ROLL_BACK, reason=reason, step=None, by=by), json=json)


@app.command()
def drift(
    project: Project,
    every: Annotated[
        str | None, typer.Option("--every", metavar="SPAN", help="From now on by a schedule too, like 1h")
    ] = None,
    by: By = None,
    *,
    off: Annotated[bool, typer.Option("--off", help="End the schedule")] = False,
    json: Json = False,
) -> None:
    """Compare what each production host runs with what the last release or rollback left there."""
    if off:
        _do(lambda: drift_check.switch_off(project, every), json=json)
    _do(lambda: drift_check.check(project, by=by, every=every), json=json)


def _do(prepare: session.Prepare, *, json: bool) -> NoReturn:
    keyboard.interrupt()
    raise typer.Exit(session.perform(prepare, Output(json=json)))


def main() -> NoReturn:
    """Run the command and leave with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a sign that the terminal has not is no reason to say nothing
    try:
        app()
    except (Unwritable, OSError) as error:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{error if isinstance(error, Unwritable) else Unwritable(error)}\n")
        end(exit_status.ExitStatus.UNWRITTEN)
    except SystemExit as leaving:
        end(leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 2)
    end(0)


if __name__ == "__main__":
    main()
