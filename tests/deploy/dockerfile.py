"""The worker's Dockerfile, taken apart."""

import re

from tests.deploy.running import DEPLOY

DOCKERFILE = DEPLOY / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    lines = "\n".join(line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines)
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def copied() -> set[str]:
    words = [rest.split() for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    return {source for sources in words for source in sources[:-1]}
