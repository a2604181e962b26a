"""Messages about who really sent a decision: what Temporal wrote beside it in history."""

from datetime import datetime
from typing import Literal

from runbook.message import Finding, Order


class SenderToIdentify(Order):
    """The `number`th signal of this name in the run, or the update with this id. Without `run` it is the release's first."""

    run: str = ""
    message: Literal["signal", "update"]
    name: str
    number: int = 0
    update_id: str = ""


class IdentifiedSender(Finding):
    """`identity` is what the sender's client calls itself; `principal` whom the server authenticated, where it does.

    `at` is when the server took the message.
    """

    identity: str
    principal: str = ""
    at: datetime

    @property
    def told(self) -> str:
        """Both, in a line."""
        return f"{self.identity}, authenticated as {self.principal}" if self.principal else self.identity
