"""Signatures that a real ssh-keygen and a real agent made, judged by a real allowed_signers file."""

import base64
import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sshsig.binary_io import SshReader
from sshsig.sshsig import SshsigSignature, SshsigWrapper

from activities.errors import Refused
from activities.signature import SignatureActivities
from runbook.approval import NAMESPACE, SignatureToVerify, VerifiedSignature, approval_lines, armored, text_of
from runbook.message import ReleaseRef
from tests.activities.performing import perform
from tests.signing import Agent, Key, add, allowed_signers

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
REF = ReleaseRef(
    project="shop", version="1.4.0", workflow_id="release-shop", release="run-2", epoch=1, requested_by="carol"
)


def text(**changes: str) -> str:
    about = {
        "project": "shop",
        "version": "1.4.0",
        "digest": "sha256:" + "a" * 64,
        "plan": "sha256:" + "b" * 64,
        "run": "run-2",
        "decision": "approve",
        "approver": "alice",
    }
    return text_of(approval_lines(**{**about, **changes}, expires=datetime(2026, 11, 24, tzinfo=UTC)))


TEXT = text()


@dataclass
class Bench:
    """A folder with alice's key, and a list that names it."""

    folder: Path

    def key(self, name: str = "alice", kind: str = "ed25519") -> Key:
        return Key.make(self.folder, name, kind)

    async def judged(
        self, signature: str, *lines: str, signer: str = "alice", at: datetime = NOW, said: str = TEXT
    ) -> VerifiedSignature:
        listed = allowed_signers(self.folder / "allowed_signers", lines)
        order = SignatureToVerify(
            ref=REF, allowed_signers=str(listed), approver=signer, text=said, signature=signature, at=at
        )
        return await perform(SignatureActivities().verify, order)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
async def test_a_listed_key_of_any_usual_kind_proves_it(bench: Bench, kind: str) -> None:
    key = bench.key(kind=kind)
    found = await bench.judged(key.sign(TEXT), f"alice {key.public}")
    assert found.ok, found.why
    listed = subprocess.run(["ssh-keygen", "-lf", key.path], check=True, capture_output=True, text=True).stdout
    assert found.key.split()[1] in listed


async def test_sha256_is_as_good_as_sha512(bench: Bench) -> None:
    key = bench.key()
    assert (await bench.judged(key.sign(TEXT, "-O", "hashalg=sha256"), f"alice {key.public}")).ok


async def test_a_signature_by_an_agent_is_a_signature(bench: Bench) -> None:
    key = bench.key()
    with Agent(bench.folder) as agent:
        add(agent, key)
        public = bench.folder / "only.pub"
        public.write_text(key.public + "\n")
        words = ["ssh-keygen", "-Y", "sign", "-q", "-n", NAMESPACE, "-f", str(public)]
        made = subprocess.run(words, input=TEXT, check=True, capture_output=True, text=True, env=agent).stdout
    assert (await bench.judged(made, f"alice {key.public}")).ok


@pytest.mark.parametrize("paste", [lambda s: s.replace("\n", "\\n"), lambda s: "".join(s.splitlines()[1:-1])])
async def test_it_may_be_pasted_in_one_line(bench: Bench, paste: Callable[[str], str]) -> None:
    key = bench.key()
    assert (await bench.judged(paste(key.sign(TEXT)), f"alice {key.public}")).ok


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "1.5.0"},
        {"run": "run-1"},
        {"digest": "sha256:" + "c" * 64},
        {"plan": "sha256:" + "c" * 64},
        {"decision": "reject"},
        {"project": "blog"},
    ],
)
async def test_a_signature_of_another_text_proves_nothing(bench: Bench, changes: dict[str, str]) -> None:
    key = bench.key()
    found = await bench.judged(key.sign(text(**changes)), f"alice {key.public}")
    assert not found.ok
    assert "does not fit" in found.why


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("bob {key}", "is not alice's"),
        ("!alice,* {key}", "is not alice's"),
        ('alice namespaces="git" {key}', "may not sign for release-runbook, only for git"),
        ('alice valid-before="20261123" {key}', "was valid until 2026-11-2"),
        ('alice valid-before="20261123115959Z" {key}', "was valid until 2026-11-23 11:59:59 UTC"),
        ('alice valid-after="202611231201Z" {key}', "is valid only from 2026-11-23 12:01:00 UTC"),
        ("alice cert-authority {key}", "not in allowed_signers"),
        ("# alice {key}", "not in allowed_signers"),
        ("", "not in allowed_signers"),
    ],
)
async def test_a_key_that_is_not_good_for_it_is_told_apart(bench: Bench, line: str, why: str) -> None:
    key = bench.key()
    found = await bench.judged(key.sign(TEXT), line.format(key=key.public))
    assert not found.ok
    assert why in found.why


@pytest.mark.parametrize(
    "line",
    [
        "* {key}",
        "al?ce {key}",
        "bob,alice {key}",
        '"bob,alice" {key} alice@laptop',
        'alice namespaces="git,release-*",valid-after="20260101Z",valid-before="20270101Z" {key}',
        'alice valid-before="20200101Z" {key}\nalice {key}',
    ],
)
async def test_one_good_line_is_enough(bench: Bench, line: str) -> None:
    key = bench.key()
    found = await bench.judged(key.sign(TEXT), *line.format(key=key.public).split("\n"))
    assert found.ok, found.why


async def test_another_s_key_does_not_speak_for_alice(bench: Bench) -> None:
    alice, mallory = bench.key(), bench.key("mallory")
    found = await bench.judged(mallory.sign(TEXT), f"alice {alice.public}", f"mallory {mallory.public}")
    assert not found.ok
    assert "is not alice's" in found.why


async def test_a_signature_for_git_is_none_for_a_release(bench: Bench) -> None:
    key = bench.key()
    found = await bench.judged(key.sign(TEXT, namespace="git"), f"alice {key.public}")
    assert not found.ok
    assert "made for 'git'" in found.why


async def test_a_key_taken_out_of_the_file_counts_at_once(bench: Bench) -> None:
    key = bench.key()
    made = key.sign(TEXT)
    assert (await bench.judged(made, f"alice {key.public}")).ok
    assert not (await bench.judged(made, "# gone")).ok


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("alice", "line 2"),
        ("alice ssh-ed25519 AAAA", "line 2: not a public key"),
        ('alice valid-before="soon" {key}', "line 2: 'soon' is not a time"),
        ("alice wrong-option=1 {key}", "line 2"),
        ("älice {key}", "not ASCII"),
    ],
)
async def test_a_list_that_can_t_be_read_is_a_trouble_with_its_line(bench: Bench, line: str, why: str) -> None:
    key = bench.key()
    with pytest.raises(Refused, match=why):
        await bench.judged(key.sign(TEXT), "# first", line.format(key=key.public))


async def test_a_list_that_is_not_there_is_a_trouble(bench: Bench) -> None:
    order = SignatureToVerify(
        ref=REF, allowed_signers="/nowhere/allowed_signers", approver="alice", text=TEXT, signature="x", at=NOW
    )
    with pytest.raises(Refused, match="can't be read"):
        await perform(SignatureActivities().verify, order)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
async def test_whatever_bytes_come_as_a_signature_they_prove_nothing(bench: Bench, content: bytes) -> None:
    for made in (base64.b64encode(content).decode(), base64.b64encode(b"SSHSIG\0\0\0\1" + content).decode()):
        assert not (await bench.judged(made, "# nobody")).ok


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
async def test_a_signature_with_any_bit_turned_proves_nothing(bench: Bench, data: st.DataObject) -> None:
    if not (bench.folder / "alice").exists():
        bench.key()
    key = Key(bench.folder / "alice")
    raw = bytearray(base64.b64decode("".join(key.sign(TEXT).splitlines()[1:-1])))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    found = await bench.judged(base64.b64encode(bytes(raw)).decode(), f"alice {key.public}")
    assert not found.ok


def security_key(*, touched: bool) -> tuple[str, str]:
    """The public key and a signature as a FIDO token makes them: over the application, flags, a counter and the text."""

    def string(value: bytes) -> bytes:
        return len(value).to_bytes(4, "big") + value

    private = Ed25519PrivateKey.generate()
    kind, application = b"sk-ssh-ed25519@openssh.com", b"ssh:"
    blob = string(kind) + string(private.public_key().public_bytes_raw()) + string(application)
    wrapped = SshsigWrapper(
        namespace=NAMESPACE.encode(), hash_algo=b"sha512", hash=hashlib.sha512(TEXT.encode()).digest()
    )
    state = bytes([int(touched)]) + (7).to_bytes(4, "big")
    made = private.sign(hashlib.sha256(application).digest() + state + hashlib.sha256(bytes(wrapped)).digest())
    envelope = b"".join(
        [
            b"SSHSIG\0\0\0\1",
            string(blob),
            string(NAMESPACE.encode()),
            string(b""),
            string(b"sha512"),
            string(string(kind) + string(made) + state),
        ]
    )
    return f"{kind.decode()} {base64.b64encode(blob).decode()}", base64.b64encode(envelope).decode()


async def test_a_security_key_proves_it_only_when_it_was_touched(bench: Bench) -> None:
    public, made = security_key(touched=True)
    assert (await bench.judged(made, f"alice {public}")).ok
    public, made = security_key(touched=False)
    assert not (await bench.judged(made, f"alice {public}")).ok


async def test_a_signature_made_with_sha1_is_not_taken(bench: Bench) -> None:
    key = bench.key(kind="rsa")
    envelope = SshsigSignature.from_armored(key.sign(TEXT))
    inner = SshReader(envelope.signature)
    inner.read_string()
    weak = b"ssh-rsa"
    envelope.signature = len(weak).to_bytes(4, "big") + weak + envelope.signature[4 + len("rsa-sha2-512") :]
    found = await bench.judged(armored(envelope.to_armored()), f"alice {key.public}")
    assert not found.ok
    assert "OpenSSH does not take" in found.why
