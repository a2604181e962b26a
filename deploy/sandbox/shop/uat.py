"""The shop's acceptance tests, in a checkout."""

import json
import sys
from pathlib import Path


def main() -> int:
    here = Path(__file__).parent
    version = json.loads((here / "package.json").read_text())["version"]
    checks = {
        "package.json names a version": version.count(".") >= 2,
        "the changelog has a section for it": f"## [{version}]" in (here / "CHANGELOG.md").read_text(),
        "the service compiles": _compiles(here / "app" / "service.py"),
    }
    for claim, holds in checks.items():
        print("ok  " if holds else "FAIL", claim)
    print(f"UAT of shop {version}: {sum(checks.values())}/{len(checks)} passed")
    return 0 if all(checks.values()) else 1


def _compiles(path: Path) -> bool:
    try:
        compile(path.read_text(), str(path), "exec")
    except SyntaxError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
