"""A drift check on a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from runbook.drift_check import ComparedHost, DriftReport, DriftVerdict
from runbook.identifier import tag_of

_COLUMNS = ("host", "runs", "recorded", "env file", "restarts", "verdict")
_STYLES = {
    DriftVerdict.AS_RECORDED: "green",
    DriftVerdict.DRIFTED: "bold red",
    DriftVerdict.UNKNOWN: "yellow",
    DriftVerdict.UNDER_WAY: "yellow",
}


def drift_table(report: DriftReport) -> RenderableType:
    verdict = report.verdict or DriftVerdict.UNKNOWN
    head = Text(f"drift of {report.project}: ", style="bold")
    head.append(_words(verdict), style=_STYLES[verdict])
    head.append(f"\ncompared with what {tag_of(report.version)} left, recorded {report.recorded}", style="dim")
    table = Table(box=None, padding=(0, 1))
    for column in _COLUMNS:
        table.add_column(column, overflow="fold")
    for host in report.hosts:
        table.add_row(host.host, host.runs, host.recorded, host.env_file, host.restarts, _verdict(host))
    return Group(head, table, Text("\n".join(_after(report))))


def _verdict(host: ComparedHost) -> Text:
    text = Text(_words(host.verdict), style=_STYLES[host.verdict])
    return text.append("".join(f"\n{line}" for line in host.said), style="default")


def _after(report: DriftReport) -> list[str]:
    told = f"on-call was told, notice {report.notice}" if report.notice else ""
    before = "on-call was told by an earlier check" if report.drifts and not report.new else ""
    under_way = f"not counted as drift: {report.under_way}" if report.under_way else ""
    comment = f"the related issue says it: {report.comment}" if report.comment else ""
    return [line for line in (report.summary, under_way, told or before, comment, *report.notes) if line]


def _words(verdict: DriftVerdict) -> str:
    return verdict.replace("_", " ")
