"""A drift check as Markdown, for Temporal's UI and the `board` query."""

from runbook.board import cell
from runbook.drift_check import ComparedHost, DriftReport
from runbook.identifier import tag_of

_HEAD = "| host | runs | recorded | env file | restarts | verdict |\n| --- | --- | --- | --- | --- | --- |"


def drift_board(report: DriftReport) -> str:
    parts = [f"# Drift of {report.project}: {_said(report)}"]
    if report.summary:
        parts.append(cell(report.summary, 1000))
    if report.version:
        parts.append(f"compared with what {tag_of(report.version)} left, recorded {report.recorded}")
    if report.under_way:
        parts.append(f"⌛ {cell(report.under_way)}")
    if report.hosts:
        parts.append("\n".join([_HEAD, *(_row(host) for host in report.hosts)]))
    parts += [f"- {cell(note)}" for note in report.notes]
    return "\n\n".join(parts) + "\n"


def _said(report: DriftReport) -> str:
    return report.verdict.replace("_", " ") if report.verdict else "being looked for"


def _row(host: ComparedHost) -> str:
    said = "; ".join([host.verdict.replace("_", " "), *host.said])
    told = (host.host, host.runs, host.recorded, host.env_file, host.restarts, said)
    return f"| {' | '.join(cell(each) for each in told)} |"
