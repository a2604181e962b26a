"""Whether a container stays up: running, not restarting, and not in a loop of short lives."""

import time
from dataclasses import dataclass

from activities.answers import Fault
from activities.clients.engine_container import ContainerDetails
from runbook.trouble import Cause

SETTLED = 10.0
"""Seconds after which an engine takes a restarted container for steady."""
FINAL = 0.2
"""The share of that after which a container that is down and not being restarted will not come back by itself."""


@dataclass
class Steadiness:
    """What was seen of one container, look by look."""

    host: str
    container_id: str
    settled: float = SETTLED
    _life: tuple[str, int] | None = None
    _since: float = 0.0
    _down_since: float | None = None

    def fault(self, seen: ContainerDetails | None) -> Fault | None:
        """What is wrong with it now; None stands for a container that is gone."""
        now = time.monotonic()
        what = self._wrong(seen, now)
        down = seen is None or not (seen.running or seen.restarting)
        self._down_since = (self._down_since or now) if down else None
        return Fault(Cause.CONTAINER_EXITED, what) if what else None

    @property
    def over(self) -> bool:
        """It is down and nothing will start it again."""
        return self._down_since is not None and time.monotonic() - self._down_since >= self.settled * FINAL

    def _wrong(self, seen: ContainerDetails | None, now: float) -> str:
        name = f"container {self.container_id[:12]} on {self.host}"
        if seen is None:
            return f"{name} is gone"
        if not seen.running or seen.restarting:
            said = f" ({seen.error})" if seen.error else ""
            return f"{name} is {seen.state}, its last exit code was {seen.exit_code}{said}"
        first_look, life = self._life is None, (seen.started_at, seen.restarts)
        if life != self._life:
            self._life, self._since = life, now
            if not first_look:
                return f"{name} was started again (restarts: {seen.restarts}, last exit code {seen.exit_code})"
        if seen.restarts and now - self._since < self.settled:
            return f"{name} restarted {seen.restarts} times and is not up for {self.settled:g} s yet"
        return ""
