"""The artifact manifest: every place it may be in, every layout, and never another version's digest."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from activities.clients.http import new_client
from activities.clients.manifest import ManifestClient
from activities.clients.manifest_format import Unreadable, digests_of
from activities.errors import Refused, Unreachable
from deploy.sandbox.serving import serving
from runbook.artifact import ArtifactToVerify
from runbook.artifact_table import ArtifactTable, ManifestTable
from runbook.message import ReleaseRef
from runbook.project import EnvironmentTable, SshTable
from runbook.trouble import Cause
from tests.activities.clients.origin import FORGE, Origin, client

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


# ---- layouts


@pytest.mark.parametrize(
    "text",
    [
        f"v1.0.0 digest: {A}",
        f"{A} image:v1.0.0",
        f"registry.example.net/acme/shop:v1.0.0@{A}",
        f"v0.9.0 digest: {B}\nv1.0.0 digest:{A}\nv1.1.0 digest: {C}\n",
        f"1.0.0\t{A}",
        f"v1.0.0: {A}.",
        f"v1.0.0 {A}\nv1.0.0 {A}\n",
        f"10.0.0.7:5000/acme/shop:v1.0.0 {A} built by docker 20.10.24",
    ],
)
def test_a_line_that_names_the_version_gives_its_digest(text: str) -> None:
    assert digests_of(text.encode(), "text", "1.0.0") == [A]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v1.0.0 is built",
        f"v1.0.00 {A}",
        f"v1.0.0-rc.1 {A}",
        f"v1.0.0.1 {A}",
        f"v11.0.0 {A}",
        f"v2.1.0.0 {A}",
        f"rc-v1.0.0 {A}",
        f"v1.0.0 {A}0",
        f"v1.0.0 {A.upper()}",
        f"v1.0.0\n{A}",
        f"v1.1.0 {A} replaces v1.0.0",
    ],
)
def test_a_line_about_another_version_gives_nothing(text: str) -> None:
    assert digests_of(text.encode(), "text", "1.0.0") == []


def test_a_release_candidate_is_told_from_its_next_one_and_from_the_release() -> None:
    text = f"v1.0.0 {A}\nv1.0.0-rc.1 {B}\nv1.0.0-rc.10 {C}\n".encode()
    assert [digests_of(text, "text", version) for version in ("1.0.0-rc.1", "1.0.0")] == [[B], [A]]


@given(st.lists(st.sampled_from(["1.0.0", "1.0.0-rc.1", "1.0.1", "1.0.10", "11.0.0", "0.1.0"]), unique=True))
def test_every_version_is_given_its_own_digest_and_no_other(versions: list[str]) -> None:
    digests = {version: f"sha256:{index:064x}" for index, version in enumerate(versions)}
    lines = [f"v{version} digest: {digest}" for version, digest in digests.items()]
    found = {version: digests_of("\n".join(lines).encode(), "text", version) for version in versions}
    assert found == {version: [digest] for version, digest in digests.items()}


DOCUMENTS = [
    {"v1.0.0": {"digest": A}, "v1.0.1": {"digest": B}},
    {"v1.0.0": A, "v1.0.0-rc.1": B},
    {"1.0.0": f"registry.example.net/acme/shop@{A}"},
    [{"version": "1.0.0", "digest": A}, {"version": "1.0.1", "digest": B}],
    [{"tag": "v1.0.0", "digest": A}, {"tag": "v1.0.0", "digest": A}],
    {"releases": [{"tag": "v1.0.0", "image": {"digest": A}}]},
    {"images": {"shop": {"v1.0.0": {"digest": A, "platforms": [{"digest": B}], "config": C}}}},
    {"v1.0.0": {"digest": A, "previous": {"version": "0.9.0", "digest": B}}},
    {"v1.0.0": {"shop": {"image": A}, "v0.9.0": {"image": B}}},
    {"version": "1.0.0", "digest": A},
]


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_document_gives_the_digest_of_the_version_wherever_it_is(document: object, form: str) -> None:
    # JSON is YAML, too.
    assert digests_of(json.dumps(document).encode(), form, "1.0.0") == [A]


def test_yaml_in_its_usual_clothes_is_read() -> None:
    text = f"# written by the pipeline\nreleases:\n  - tag: v1.0.0\n    built: 2026-01-02\n    digest: {A}\n"
    assert digests_of(text.encode(), "yaml", "1.0.0") == [A]


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize(
    "text",
    [
        f'{{"v1.0.0": "{A}", "v1.0.0": "{B}"}}',
        f'{{"v1.0.0": {{"digest": "{A}", "digest": "{B}"}}}}',
        f'[{{"version": "1.0.0", "digest": "{A}"}}, {{"version": "v1.0.0", "digest": "{B}"}}]',
        f'{{"v1.0.0": {{"shop": "{A}", "worker": "{B}"}}}}',
    ],
)
def test_a_second_digest_is_never_hidden(text: str, form: str) -> None:
    assert digests_of(text.encode(), form, "1.0.0") == [A, B]


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("json", b'{"v1.0.0": '),
        ("yaml", b"a: [1"),
        ("yaml", b"a: &x [1]\nb: *x"),
        ("json", b"[" * 100_000),
        ("json", b"[" * 200 + b"]" * 200),
        ("text", b"v1.0.0 \xff"),
    ],
)
def test_what_is_not_of_its_format_is_unreadable(form: str, content: bytes) -> None:
    with pytest.raises(Unreadable):
        digests_of(content, form, "1.0.0")


# ---- places


class Host:
    """One host with some files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    async def read(self, environment: EnvironmentTable, host: str, path: str) -> bytes:
        if path not in self.files:
            raise Refused(f"{host} has no file {path}")
        return self.files[path]


def order(origin: Origin, manifest: dict[str, str], commit: str = "") -> ArtifactToVerify:
    table = ManifestTable.model_validate(manifest)
    staging = EnvironmentTable(
        hosts=["staging.example.net"], port=80, container="shop", env_file="/etc/shop.env", ssh=SshTable(user="deploy")
    )
    return ArtifactToVerify(
        ref=ReleaseRef(
            project="shop", version="1.4.0", workflow_id="release-shop", release="run", epoch=1, requested_by="alice"
        ),
        project=origin.project(),
        forge=FORGE,
        artifact=ArtifactTable(registry="registry.example.net", image="acme/shop", manifest=table, scan=["scan"]),
        environment=staging,
        host="staging.example.net",
        version="1.4.0",
        commit=commit or origin.first,
    )


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


@pytest.fixture
def host() -> Host:
    return Host({"/srv/manifest": f"v1.4.0 {A}".encode()})


@pytest.fixture
async def manifests(tmp_path: Path, host: Host) -> AsyncIterator[ManifestClient]:
    async with new_client() as http:
        yield ManifestClient(client(tmp_path / "worker"), http, host)


async def test_a_branch_of_the_repository_is_read_at_its_head(origin: Origin, manifests: ManifestClient) -> None:
    wanted = order(origin, {"path": "digests/manifest.txt", "ref": "artifacts"})
    with pytest.raises(Unreachable, match="no branch or tag artifacts yet") as early:
        await manifests.digest(wanted)
    assert early.value.cause is Cause.DIGEST_UNKNOWN
    origin.commit("Record", {"digests/manifest.txt": f"v1.3.0 {B}"}, branch="artifacts")
    with pytest.raises(Unreachable, match=r"gives no digest for v1\.4\.0") as unknown:
        await manifests.digest(wanted)
    assert unknown.value.cause is Cause.DIGEST_UNKNOWN
    origin.commit("Record", {"digests/manifest.txt": f"v1.3.0 {B}\nv1.4.0 {A}"}, branch="artifacts")
    assert await manifests.digest(wanted) == A


async def test_without_a_ref_it_is_read_at_the_releases_tag(origin: Origin, manifests: ManifestClient) -> None:
    commit = origin.commit("Record", {"manifest.txt": f"v1.4.0 {A}"})
    with pytest.raises(Refused, match=r"tag v1\.4\.0 is gone"):
        await manifests.digest(order(origin, {"path": "manifest.txt"}, commit))
    origin.tag("v1.4.0", commit)
    origin.commit("Later", {"manifest.txt": f"v1.4.0 {B}"})
    assert await manifests.digest(order(origin, {"path": "manifest.txt"}, commit)) == A


async def test_a_tag_that_was_moved_is_refused(origin: Origin, manifests: ManifestClient) -> None:
    origin.tag("v1.4.0", origin.commit("Elsewhere", {"manifest.txt": f"v1.4.0 {A}"}))
    with pytest.raises(Refused, match="it was moved") as refused:
        await manifests.digest(order(origin, {"path": "manifest.txt"}))
    assert refused.value.cause is Cause.TAG_MOVED


async def test_a_file_that_the_repository_does_not_have_yet_is_looked_for_again(
    origin: Origin, manifests: ManifestClient
) -> None:
    with pytest.raises(Unreachable, match=r"there is no manifest manifest\.txt at main yet") as unknown:
        await manifests.digest(order(origin, {"path": "manifest.txt", "ref": "main"}))
    assert unknown.value.cause is Cause.DIGEST_UNKNOWN


async def test_a_file_on_the_worker_is_read(origin: Origin, manifests: ManifestClient, tmp_path: Path) -> None:
    wanted = order(origin, {"file": str(tmp_path / "manifest.json"), "format": "json"})
    with pytest.raises(Unreachable, match="on the worker yet"):
        await manifests.digest(wanted)
    (tmp_path / "manifest.json").write_text('{"v1.4.0": {"dig')
    with pytest.raises(Unreachable, match="can't be read as json") as half:
        await manifests.digest(wanted)
    assert half.value.cause is Cause.DIGEST_UNKNOWN
    (tmp_path / "manifest.json").write_text(json.dumps({"v1.4.0": {"digest": A}}))
    assert await manifests.digest(wanted) == A


async def test_two_different_digests_are_refused_and_shown(
    origin: Origin, manifests: ManifestClient, tmp_path: Path
) -> None:
    (tmp_path / "manifest").write_text(f"v1.4.0 {A}\nv1.4.0 {B}\n")
    with pytest.raises(Refused, match=r"2 different digests for v1\.4\.0") as refused:
        await manifests.digest(order(origin, {"file": str(tmp_path / "manifest")}))
    assert refused.value.cause is Cause.DIGEST_MISMATCH
    assert refused.value.evidence == [A, B]


async def test_a_file_on_a_host_is_read_there(origin: Origin, manifests: ManifestClient, host: Host) -> None:
    wanted = order(origin, {"file": "/srv/manifest", "host": "builder.example.net"})
    assert await manifests.digest(wanted) == A
    host.files.clear()
    with pytest.raises(Unreachable, match=r"builder\.example\.net has no file /srv/manifest") as unknown:
        await manifests.digest(wanted)
    assert unknown.value.cause is Cause.DIGEST_UNKNOWN


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (PlainTextResponse("no", 404), Unreachable, "there is no manifest"),
        (PlainTextResponse("busy", 503), Unreachable, "answered 503"),
        (PlainTextResponse("who?", 401), Refused, "answered 401"),
        (RedirectResponse("http://elsewhere.example.net/"), Refused, "answered 307"),
        (PlainTextResponse("x" * (5 * 1024 * 1024)), Refused, "is larger than"),
    ],
)
async def test_an_address_that_does_not_give_it_says_why(
    origin: Origin, manifests: ManifestClient, answer: Response, error: type[Exception], said: str
) -> None:
    async def endpoint(_: Request) -> Response:
        return answer

    async with serving(Starlette(routes=[Route("/manifest", endpoint)])) as served:
        with pytest.raises(error, match=said):
            await manifests.digest(order(origin, {"url": f"{served.url}/manifest"}))


async def test_an_address_that_is_busy_is_left_alone_as_long_as_it_asks(
    origin: Origin, manifests: ManifestClient
) -> None:
    async def endpoint(_: Request) -> Response:
        return PlainTextResponse("slow down", 429, headers={"Retry-After": "7"})

    async with serving(Starlette(routes=[Route("/manifest", endpoint)])) as served:
        with pytest.raises(Unreachable, match="answered 429") as busy:
            await manifests.digest(order(origin, {"url": f"{served.url}/manifest"}))
    assert busy.value.again == timedelta(seconds=7)


async def test_an_address_that_gives_it_is_read(origin: Origin, manifests: ManifestClient) -> None:
    async def endpoint(_: Request) -> Response:
        return PlainTextResponse(f"v1.4.0 {A}")

    async with serving(Starlette(routes=[Route("/manifest", endpoint)])) as served:
        url = f"{served.url}/manifest"
        assert await manifests.digest(order(origin, {"url": url})) == A
    with pytest.raises(Unreachable, match="did not answer"):
        await manifests.digest(order(origin, {"url": url}))
