"""A toy policy scanner: refuses an image that is not named by digest, or whose digest is on the deny list."""

import os
import re
import sys
from pathlib import Path

DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: scan.py IMAGE@DIGEST", file=sys.stderr)
        return 2
    image = sys.argv[1]
    found = DIGEST.search(image)
    if found is None:
        print(f"refused: {image} is not named by its digest", file=sys.stderr)
        return 2
    deny = Path(os.environ.get("SCAN_DENY", "deny.txt"))
    denied = deny.read_text().split() if deny.exists() else []
    if found.group(1) in denied:
        print(f"refused: {found.group(1)} is on the deny list")
        return 1
    print(f"scanned {image}")
    print("0 findings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
