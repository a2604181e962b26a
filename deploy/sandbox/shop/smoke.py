"""The shop's smoke tests, against a running service."""

import argparse
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

SECONDS = 5


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True, help="for example http://staging.example.net:8080")
    target = parser.parse_args().target.rstrip("/")
    if not target.startswith(("http://", "https://")):
        parser.error(f"wanted an http or https address, found {target}")
    version = "v" + json.loads((Path(__file__).parent / "package.json").read_text())["version"]
    health_status, health = fetch(target + "/health")
    _, said = fetch(target + "/version")
    checks = {
        f"/health answers 200 (found {health_status})": health_status == 200,
        f"/health says ok (found {health.get('status')})": health.get("status") == "ok",
        f"/version says {version} (found {said.get('version')})": said.get("version") == version,
    }
    for claim, holds in checks.items():
        print("ok  " if holds else "FAIL", claim)
    passed = sum(checks.values())
    if passed < len(checks):
        print(f"Smoke tests failed ({passed}/{len(checks)})")
        return 1
    print(f"All smoke tests passed ({passed}/{len(checks)})")
    print(f"Service version: {version}")
    print("Health: OK")
    return 0


def fetch(url: str) -> tuple[int, dict[str, Any]]:
    """Status 0 when there is no answer at all."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - main takes http and https alone
            return answer.status, parse(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, parse(error.read())
    except OSError as error:
        print(f"no answer from {url}: {error}")
        return 0, {}


def parse(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
