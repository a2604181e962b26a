"""Images of the demo service: built in memory, the same bytes for the same input, pushed over HTTP."""

from typing import Literal

Runtime = Literal["process", "busybox"]
ImageKind = Literal["good", "crash_loop", "exits_at_once", "unhealthy", "wrong_version", "slow_start"]
