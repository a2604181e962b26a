"""Programs that don't outlive whoever started them."""

import shutil
from collections.abc import Sequence


def dying_with_us(words: Sequence[str]) -> list[str]:
    """The command, killed at once when the thread that starts it ends, and so when this process does."""
    # A hook between fork and exec would do the same but is unsafe in a program with threads.
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *words] if setpriv else list(words)
