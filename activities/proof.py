"""Whether a container that gets no traffic yet is fit for it: stays up, is healthy, is the right version."""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from activities.answers import Fault, Probe, Seen, ask
from activities.crossing import Crossing
from activities.heartbeat import tell
from activities.hosted_service import HostEngine
from runbook.span import spoken
from runbook.trouble import Cause

_FIRST_PAUSE, _GROWTH, _PAUSE = 0.1, 1.5, 1.0


@dataclass(frozen=True)
class Proof:
    """Asks `upstream` from the host itself, as the addresses of the project's file would be asked of the proxy.

    `version` None: whatever version it is.
    """

    engine: HostEngine
    crossing: Crossing
    upstream: str
    version: str | None

    async def fault_of(self, name: str) -> Fault | None:
        """What speaks against it once its time is over, at once where it ended; None after enough good answers."""
        tell("waiting until it is healthy beside the one that serves")
        environment = self.crossing.environment
        probe, good, pause = await self.crossing.inside(self.upstream), 0, _FIRST_PAUSE
        deadline = time.monotonic() + environment.health_deadline.total_seconds()
        while True:
            seen = await self._ask(probe)
            # Afterwards: an address that nobody has any more keeps a question waiting, and meanwhile it may have ended.
            details = await self.engine.inspect(name)
            if not details.steady:
                return Fault(Cause.CONTAINER_EXITED, details.told)
            good = 0 if seen.fault else good + 1
            if good >= environment.good_answers:
                return None
            if seen.fault and time.monotonic() >= deadline:
                within = spoken(environment.health_deadline)
                return Fault(seen.fault.cause, f"not fit for traffic within {within}: {seen.fault.what}")
            await asyncio.sleep(pause)
            pause = min(pause * _GROWTH, _PAUSE)

    async def _ask(self, probe: Probe) -> Seen:
        environment, host = self.crossing.environment, self.crossing.proxy.host
        health, version = self._beside(environment.health_url(host)), self._beside(environment.version_url(host))
        return await ask(probe, health, version, self.version)

    def _beside(self, url: str) -> str:
        parts = urlsplit(url)
        return urlunsplit(("http", self.upstream, parts.path, parts.query, ""))
