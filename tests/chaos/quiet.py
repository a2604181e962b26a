"""What is killed on purpose is no news: without the warnings of those who notice."""

import logging

from temporalio.runtime import Runtime

from process.telemetry import silent_runtime


def quieten() -> None:
    """Call it before the first client of Temporal is made."""
    logging.disable(logging.WARNING)
    Runtime.set_default(silent_runtime())
