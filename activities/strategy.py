"""Which way a host is changed: its environment's strategy decides, once, here."""

from dataclasses import dataclass
from datetime import timedelta

from activities.blue_green import BlueGreen
from activities.crossing import Crossing
from activities.hosted_service import Answers, HostEngine
from activities.putting_back import PuttingBack
from activities.swap import Lines, Swap
from activities.switching_back import SwitchingBack
from runbook.service import HostToPutBack, RestoredHost, SwappedContainer, SwapToMake


@dataclass(frozen=True)
class Means:
    """What an attempt on one host works with; `crossing` is None where no proxy is in front of the service."""

    engine: HostEngine
    lines: Lines
    settle: timedelta
    crossing: Crossing | None = None

    async def swap(self, order: SwapToMake, answers: Answers) -> SwappedContainer:
        if self.crossing:
            return await BlueGreen(self.engine, order, self.lines, self.crossing).make()
        return await Swap(self.engine, order, self.lines, self.settle, answers).make()

    async def put_back(self, order: HostToPutBack) -> RestoredHost:
        if self.crossing:
            return await SwitchingBack(self.engine, order, self.lines, self.crossing).make()
        return await PuttingBack(self.engine, order, self.lines, self.settle).make()
