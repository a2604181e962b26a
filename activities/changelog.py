"""Finds a version's section in a changelog that keeps one heading a version."""

import re

_LONGEST = 4000
_SMALL = 3
_A_VERSION = re.compile(r"\d+\.\d+|unreleased", re.IGNORECASE)
_HEADING = re.compile(r"^(#{1,6})\s+(.*)$")
_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
# Neither sub-headings nor link definitions nor comments say what changed.
_SAYS_NOTHING = re.compile(r"^\s*(#{1,6}\s.*|\[[^\]]+\]:\s.*|<!--.*-->|)$")


def section_of(changelog: str, version: str) -> str | None:
    """The text under the version's heading, at most 4,000 characters; None without a heading, empty without a text.

    The heading may be of any level: `## [1.4.0] - 2026-01-02`, `## 1.4.0`, `# v1.4.0`, `## Version 1.4.0 (…)`.
    """
    wanted = re.compile(rf"(?:(?:version|release)\s+)?\[?v?{re.escape(version)}(?![\w.+-]*[\w+-])", re.IGNORECASE)
    level, lines, found, fenced = 0, list[str](), False, False
    for line in changelog.splitlines():
        fenced ^= _FENCE.match(line) is not None
        heading = None if fenced else _HEADING.match(line)
        if found and heading and _ends(heading, level):
            break
        if found:
            lines.append(line.rstrip())
        elif heading and wanted.match(heading[2]):
            found, level = True, len(heading[1])
    if not found:
        return None
    says = any(not _SAYS_NOTHING.match(line) for line in lines)
    return "\n".join(lines).strip()[:_LONGEST] if says else ""


def _ends(heading: re.Match[str], level: int) -> bool:
    """Some tools set a patch's heading no larger than those of its parts: then only another version ends it."""
    own = len(heading[1])
    return own < level or (own == level and (level < _SMALL or _A_VERSION.search(heading[2]) is not None))
