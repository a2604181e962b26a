"""An SSH signature over a text: is it one, who made it, and does that key speak for the person who is named."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime

from asyncssh import SSHKey, import_public_key
from sshsig.binary_io import SshReader
from sshsig.sshsig import SshsigSignature, SshsigWrapper, ssh_dearmor_sshsig

from activities.clients.signers import AllowedSigners

# What OpenSSH takes: no SHA-1, and no browser's WebAuthn, whose signature is over more than the text.
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_ALGORITHMS = {
    b"ssh-ed25519",
    b"rsa-sha2-256",
    b"rsa-sha2-512",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
    b"sk-ssh-ed25519@openssh.com",
    b"sk-ecdsa-sha2-nistp256@openssh.com",
}


@dataclass(frozen=True)
class Checked:
    """`objection` is empty when all is well; `key` the signing key's kind and fingerprint, where one could be read."""

    objection: str
    key: str = ""


def check(text: str, signature: str, *, namespace: str, signer: str, allowed: AllowedSigners, at: datetime) -> Checked:
    """Whether `signer` signed exactly this text for this namespace, with a key that is theirs at `at`."""
    try:
        envelope = _envelope(signature)
        key = _key(envelope.public_key)
        algorithm = SshReader(envelope.signature).read_string()
    except (ValueError, NotImplementedError) as error:
        return Checked(f"it is no SSH signature that can be read: {str(error)[:100] or type(error).__name__}")
    name = f"{key.get_algorithm()} {key.get_fingerprint()}"
    if envelope.namespace != namespace.encode():
        return Checked(f"it was made for {envelope.namespace.decode('ascii', 'replace')[:60]!a}", name)
    if envelope.hash_algo not in _HASHES or algorithm not in _ALGORITHMS:
        return Checked("it was made in a way that OpenSSH does not take: sign with a current ssh-keygen", name)
    if not key.verify(_signed(envelope, text), envelope.signature):
        return Checked("it does not fit: another text was signed, or by another key", name)
    return Checked(allowed.objection(key, signer, namespace, at), name)


def _envelope(signature: str) -> SshsigSignature:
    """Only in the one form in which it can be written: with nothing left out, put in or put after it."""
    raw = ssh_dearmor_sshsig(signature)
    envelope = SshsigSignature(raw)
    if bytes(envelope) != raw:
        raise ValueError("its parts do not fit together")
    return envelope


def _key(blob: bytes) -> SSHKey:
    algorithm = SshReader(blob).read_string().decode("ascii")
    key = import_public_key(f"{algorithm} {base64.b64encode(blob).decode()}")
    # A security key whose owner was not there to touch it proves nothing about a person.
    key.set_touch_required(touch_required=True)
    return key


def _signed(envelope: SshsigSignature, text: str) -> bytes:
    digest = _HASHES[envelope.hash_algo](text.encode()).digest()
    return SshsigWrapper(namespace=envelope.namespace, hash_algo=envelope.hash_algo, hash=digest).to_bytes()
