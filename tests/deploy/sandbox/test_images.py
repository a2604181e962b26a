import contextlib
import io
import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.ports import free_port
from deploy.sandbox.images import Image, Runtime, build_image, find_busybox
from deploy.sandbox.images_push import push_image
from deploy.sandbox.registry import RegistrySettings, build_registry
from deploy.sandbox.serving import PLAIN, serving

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


@contextlib.contextmanager
def running(image: Image, folder: Path, **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The image's entrypoint as a process in the unpacked layer."""
    with tarfile.open(fileobj=io.BytesIO(image.layer), mode="r:gz") as layer:
        layer.extractall(folder, filter="data")
    command = json.loads(image.config)["config"]["Entrypoint"]
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(port), **env}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def ask(url: str) -> httpx.Response:
    deadline = time.monotonic() + 10
    while True:
        try:
            return httpx.get(url, trust_env=False, verify=PLAIN)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def test_the_same_input_makes_the_same_image_and_another_build_another_one() -> None:
    first, again = build_image("1.0.0", revision="abc"), build_image("v1.0.0", revision="abc")

    assert first == again
    assert first.digest != first.image_id
    assert len({first.digest, build_image("1.1.0").digest, build_image("1.0.0", build="2").digest}) == 3


def test_a_good_service_answers_its_version_and_stops_on_term(tmp_path: Path) -> None:
    with running(build_image("1.0.0"), tmp_path) as (process, url):
        assert ask(f"{url}/health").json() == {"status": "ok", "version": "v1.0.0"}
        assert ask(f"{url}/version").json() == {"version": "v1.0.0"}
        assert ask(f"{url}/cart").status_code == 404

        process.send_signal(signal.SIGTERM)

        assert process.wait(2) == 0


def test_a_version_named_broken_in_the_environment_is_unhealthy_and_no_other(tmp_path: Path) -> None:
    with running(build_image("1.1.0"), tmp_path, BROKEN_VERSIONS="v1.1.0") as (_, url):
        assert ask(f"{url}/health").status_code == 500
        assert ask(f"{url}/version").json() == {"version": "v1.1.0"}
    with running(build_image("1.2.0"), tmp_path, BROKEN_VERSIONS="v1.1.0") as (_, url):
        assert ask(f"{url}/health").status_code == 200


@pytest.mark.parametrize("kind", ["crash_loop", "exits_at_once"])
def test_an_image_that_exits_exits_1_and_says_why(tmp_path: Path, kind: str) -> None:
    with running(build_image("1.0.0", kind=kind), tmp_path) as (process, _):  # type: ignore[arg-type]  # a literal each
        output, _ = process.communicate(timeout=5)

        assert process.returncode == 1
        assert "missing setting" in output or "lost the connection" in output


def test_a_wrong_version_and_an_unhealthy_image_say_so_on_their_own_page(tmp_path: Path) -> None:
    with running(build_image("1.0.0", kind="wrong_version"), tmp_path) as (_, url):
        assert ask(f"{url}/version").json() == {"version": "v0.0.0"}
    with running(build_image("1.0.0", kind="unhealthy"), tmp_path) as (_, url):
        assert ask(f"{url}/health").json() == {"status": "failing", "version": "v1.0.0"}


def test_a_slow_start_listens_only_after_its_seconds(tmp_path: Path) -> None:
    started = time.monotonic()
    with running(build_image("1.0.0", kind="slow_start", seconds=0.4), tmp_path) as (_, url):
        assert ask(f"{url}/health").status_code == 200

        assert time.monotonic() - started >= 0.4


@pytest.mark.skipif(find_busybox() is None, reason="no static busybox")
@pytest.mark.parametrize("broken", ["", "v1.0.0"])
def test_the_busybox_service_answers_like_the_other_one(tmp_path: Path, broken: str) -> None:
    image = build_image("1.0.0", runtime="busybox")
    with tarfile.open(fileobj=io.BytesIO(image.layer), mode="r:gz") as layer:
        assert layer.getmember("bin/sh").linkname == "busybox"
        layer.extractall(tmp_path, filter="data")
    release = (tmp_path / "app/release").read_text()
    script = (tmp_path / "app/answer.sh").read_text().replace("/app/release", str(tmp_path / "app/release"))
    request = "GET /health HTTP/1.1\r\nHost: shop\r\n\r\n"

    answered = subprocess.run(
        [tmp_path / "bin/sh", "-c", script],
        input=request,
        env={"BROKEN_VERSIONS": broken},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "version=v1.0.0" in release
    assert answered.stdout.startswith("HTTP/1.1 500 " if broken else "HTTP/1.1 200 OK"), answered.stderr
    assert answered.stdout.endswith('"version":"v1.0.0"}')


@pytest.mark.parametrize("auth", ["none", "basic", "bearer"])
@pytest.mark.parametrize("runtime", ["process"])
async def test_a_pushed_image_is_there_under_every_tag(tmp_path: Path, auth: str, runtime: Runtime) -> None:
    settings = RegistrySettings(auth=auth, user="bot", password="secret")  # type: ignore[arg-type]  # a literal each
    app = build_registry(tmp_path, settings)
    async with serving(app) as registry:
        image = build_image("1.0.0", runtime=runtime)
        host = registry.url.removeprefix("http://")

        digest = await push_image(host, "acme/shop", image, ["v1.0.0", "abc"], user="bot", password="secret")

        assert app.state.store.tags("acme/shop") == {"v1.0.0": digest, "abc": digest}
        assert digest == image.digest
        await push_image(host, "acme/shop", image, ["v1.0.0"], user="bot", password="secret")
        assert app.state.faults.count("POST", "/v2/*") == (2 if auth == "none" else 4)
