import os
import subprocess
import sys
from pathlib import Path

from deploy.sandbox.images import build_image
from deploy.sandbox.shop import TEMPLATE
from tests.deploy.sandbox.forging import QUICK, bench
from tests.deploy.sandbox.test_images import ask, running

QUIET = {**QUICK, "mode": "never_starts"}
DIGEST = f"sha256:{'a' * 64}"


def run(folder: Path, script: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **env}
    command = [sys.executable, str(folder / script), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


async def test_a_version_is_committed_with_its_changelog_and_green_checks(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        sha = await forge.shop.commit_version("1.1.0", changes=["A cart."])

        changelog = (await forge.client.get("/raw/CHANGELOG.md", params={"ref": sha})).text
        assert "## [1.1.0]" in changelog
        assert "- A cart." in changelog
        assert changelog.index("[Unreleased]") < changelog.index("[1.1.0]") < changelog.index("[1.0.0]")
        assert (await forge.get(f"/commits/{sha}/status"))["state"] == "success"
        assert await forge.shop.commit_version("1.1.0") == sha


async def test_a_version_may_lack_its_changelog_or_its_green_checks(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        sha = await forge.shop.commit_version("1.1.0", changelog=False, green=False)

        assert "## [1.1.0]" not in (await forge.client.get("/raw/CHANGELOG.md", params={"ref": sha})).text
        assert (await forge.get(f"/commits/{sha}/status"))["state"] == "failure"
        uat = run(forge.shop.folder, "uat.py")
        assert uat.returncode == 1
        assert "FAIL the changelog has a section for it" in uat.stdout


async def test_uat_passes_in_a_checkout_of_a_good_version(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        uat = run(forge.shop.folder, "uat.py")

        assert uat.returncode == 0, uat.stdout
        assert "UAT of shop 1.0.0: 3/3 passed" in uat.stdout


async def test_smoke_tests_pass_for_the_version_of_the_checkout_and_fail_for_another(tmp_path: Path) -> None:
    async with bench(tmp_path, pipeline=QUIET) as forge:
        with running(build_image("1.0.0"), tmp_path / "good") as (_, url):
            ask(f"{url}/health")
            good = run(forge.shop.folder, "smoke.py", "--target", url)
        with running(build_image("1.1.0"), tmp_path / "other") as (_, url):
            ask(f"{url}/health")
            other = run(forge.shop.folder, "smoke.py", "--target", url)

        assert (good.returncode, other.returncode) == (0, 1)
        assert "All smoke tests passed (3/3)\nService version: v1.0.0\nHealth: OK" in good.stdout
        assert "FAIL /version says v1.0.0 (found v1.1.0)" in other.stdout


def test_smoke_tests_fail_where_nothing_answers() -> None:
    done = run(TEMPLATE, "smoke.py", "--target", "http://127.0.0.1:1")

    assert done.returncode == 1
    assert "Smoke tests failed (0/3)" in done.stdout


def test_the_scanner_refuses_a_denied_digest_and_an_image_without_one(tmp_path: Path) -> None:
    deny = tmp_path / "deny.txt"
    deny.write_text(f"{DIGEST}\n")
    image = f"registry.example.net/acme/shop:v1.0.0@{DIGEST}"

    denied = run(TEMPLATE, "scan.py", image, SCAN_DENY=str(deny))
    allowed = run(TEMPLATE, "scan.py", image, SCAN_DENY=str(tmp_path / "none"))
    unpinned = run(TEMPLATE, "scan.py", "registry.example.net/acme/shop:v1.0.0")

    assert (denied.returncode, allowed.returncode, unpinned.returncode) == (1, 0, 2)
    assert "on the deny list" in denied.stdout
