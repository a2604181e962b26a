"""What the audience sees: headlines, the board as it changes, and checks of what was claimed."""

import time

from rich.console import Console
from rich.markup import escape

from runbook.status import Row, State, Status

_SIGNS = {
    State.RUNNING: "[cyan]▶[/]",
    State.DONE: "[green]✔[/]",
    State.FAILED: "[red]✘[/]",
    State.STOPPED: "[yellow]■[/]",
}


class Screen:
    """Prints one line for each change of a step, so that it reads the same on a terminal and in a log."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()
        self._shown: dict[str, tuple[State, str]] = {}
        self.failures: list[str] = []

    def act(self, title: str) -> None:
        self._shown.clear()
        self._console.rule(f"[bold]{title}")

    def say(self, text: str) -> None:
        self._console.print(f"{self._clock()} {text}")

    def box(self, title: str, text: str) -> None:
        """Text to read and copy: never cut, never wrapped."""
        self._console.rule(title, style="dim")
        self._console.print(escape(text), style="cyan")
        self._console.rule(style="dim")

    def board(self, status: Status) -> None:
        """The rows that changed since last time."""
        for row in status.rows:
            seen = (row.state, row.trouble)
            if row.state in _SIGNS and self._shown.get(row.key) != seen:
                self._shown[row.key] = seen
                self._console.print(f"{self._clock()} {_SIGNS[row.state]} {escape(_line(row))}")

    def check(self, claim: str, found: object, wanted: object) -> None:
        """Read back from outside: right or wrong, and what was found."""
        right = found == wanted
        sign = "[green]✔[/]" if right else "[red]✘[/]"
        told = f"{found}" if right else f"{found}, wanted {wanted}"
        self._console.print(f"  {sign} {escape(claim)}: {escape(told)}")
        if not right:
            self.failures.append(claim)

    def _clock(self) -> str:
        return f"[dim]{time.monotonic() - self._began:5.1f} s[/]"


def _line(row: Row) -> str:
    where = f" on {row.host}" if row.host else ""
    tries = f" (attempt {row.attempts})" if row.attempts > 1 else ""
    found = row.trouble or (row.finding if row.state is State.DONE else "")
    return f"{row.title}{where}{tries}{': ' + found if found else ''}"
