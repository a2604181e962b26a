"""Payloads of every wrong shape, as bytes on the wire."""

import json
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from tests.projects import DIGEST


def encoded(value: Any) -> RawValue:
    return raw(json.dumps(value).encode())


def raw(data: bytes, encoding: bytes | None = b"json/plain") -> RawValue:
    return RawValue(Payload(metadata={} if encoding is None else {"encoding": encoding}, data=data))


GOOD = {"by": "alice", "digest": DIGEST}
WRONG: dict[str, list[RawValue]] = {
    "nothing": [],
    "null": [encoded(None)],
    "null by its own encoding": [raw(b"", b"binary/null")],
    "text": [encoded("yes")],
    "object in a text": [encoded(json.dumps(GOOD))],
    "number": [encoded(1)],
    "huge number": [raw(b"9" * 4000)],
    "not a number": [raw(b"NaN")],
    "list": [encoded([GOOD])],
    "boolean": [encoded(True)],
    "empty object": [encoded({})],
    "two arguments": [encoded(GOOD), encoded(GOOD)],
    "three arguments": [encoded("approve"), encoded("alice"), encoded(DIGEST)],
    "wrong fields": [encoded({"who": "alice", "digest": DIGEST})],
    "one field too many": [encoded({**GOOD, "force": True})],
    "kind of its own": [encoded({**GOOD, "kind": "approve"})],
    "missing field": [encoded({"digest": DIGEST})],
    "wrong types": [encoded({"by": ["alice"], "digest": 7, "comment": {}, "reason": None, "decision": []})],
    "name that is none": [encoded({"by": "alice\n# Gate: approved", "digest": DIGEST})],
    "1 MB of text": [encoded("x" * 1_000_000)],
    "1 MB comment": [encoded({**GOOD, "comment": "x" * 1_000_000})],
    "100,000 fields": [encoded({f"field-{number}": 0 for number in range(60_000)})],
    "deep object": [raw(b'{"by":' * 150 + b"1" + b"}" * 150)],
    "too deep object": [raw(b'{"by":' * 50_000 + b"1" + b"}" * 50_000)],
    "broken JSON": [raw(b'{"by": "alice", "digest')],
    "no UTF-8": [raw(b'{"by": "al\xff\xfeice"}')],
    "lone surrogate": [raw(b'{"by": "alice", "comment": "\\ud800"}')],
    "control characters": [encoded({"by": "alice", "digest": DIGEST, "comment": ["\x00\x1b[2J"]})],
    "binary": [raw(bytes(range(256)), b"binary/plain")],
    "encrypted": [raw(b"secret", b"binary/encrypted")],
    "unknown encoding": [raw(b"{}", b"application/x-java")],
    "no encoding": [raw(b"{}", None)],
    "encoding that is no text": [raw(b"{}", b"\xff\xfe")],
    "proto": [raw(b"\x08\x96\x01", b"binary/protobuf")],
}
