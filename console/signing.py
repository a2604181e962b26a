"""Signs an approval with the operator's own SSH key; the key never leaves `ssh-keygen` and the agent."""

import shlex
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from console.refusal import Refusal
from runbook.approval import NAMESPACE, lines_to_sign, text_of
from runbook.status import GateView, Status

AGENT = "agent"
_USUAL_KEY = "~/.ssh/id_ed25519"


def signed(status: Status, gate: GateView, decision: str, by: str, key: str) -> str:
    """The signature over exactly what the gate shows. `key` is a file, the public half of a key that the agent holds,
    or the word `agent` for the only one it holds.

    Raises:
        Refusal: `ssh-keygen` is not there or would not sign, or the agent holds no key or several.
    """
    text = text_of(lines_to_sign(status, gate, decision, by))
    with _file_of(key) as path:
        # What it says on standard error goes to the operator: a security key asks to be touched there.
        done = _output("ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", path, text=text)
    if done.returncode != 0:
        raise Refusal(f"ssh-keygen would not sign with {key}, and said why above")
    return done.stdout


def by_hand(status: Status, gate: GateView, decision: str, by: str) -> str:
    """One line for a shell that signs, and prints the JSON to paste: for whoever has ssh-keygen but not this program."""
    lines = " ".join(shlex.quote(line) for line in lines_to_sign(status, gate, decision, by))
    sign = (
        f"printf '%s\\n' {lines} | ssh-keygen -Y sign -n {NAMESPACE} -f {_USUAL_KEY} | grep -v -e ----- | tr -d '\\n'"
    )
    payload = '{"by":"%s","digest":"%s","signature":"%s"}'
    return f"printf '{payload}\\n' {shlex.quote(by)} {gate.digest} \"$({sign})\""


@contextmanager
def _file_of(key: str) -> Generator[str]:
    if key != AGENT:
        yield str(Path(key).expanduser())
        return
    with tempfile.TemporaryDirectory(prefix="release-runbook-") as folder:
        public = Path(folder, "key.pub")
        public.write_text(_only_key() + "\n")
        yield str(public)


def _only_key() -> str:
    listed = _output("ssh-add", "-L")
    keys = listed.stdout.splitlines() if listed.returncode == 0 else []
    if not keys:
        raise Refusal("no SSH agent answers, or it holds no key: add one with ssh-add, or say --sign KEY")
    if len(keys) > 1:
        names = ", ".join(line.split(" ", 2)[-1] for line in keys)
        raise Refusal(f"the agent holds {len(keys)} keys ({names}): say which, with --sign FILE.pub of its public half")
    return keys[0]


def _output(*words: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(list(words), input=text, stdout=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError:
        raise Refusal(f"there is no {words[0]} here: install OpenSSH's client") from None
