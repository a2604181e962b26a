"""A version's section in changelogs as people and tools write them."""

import pytest

from activities.changelog import section_of

SECTION = "### Added\n\n- Carts"


@pytest.mark.parametrize(
    "heading",
    [
        "## [1.4.0] - 2026-01-02",
        "## 1.4.0",
        "## v1.4.0",
        "# 1.4.0 (2026-01-02)",
        "## [v1.4.0](https://example.net) 2026",
        "### Version 1.4.0",
        "## 1.4.0: carts",
    ],
)
def test_a_section_is_found_under_any_common_heading(heading: str) -> None:
    text = f"# Changelog\n\n## [Unreleased]\n\n{heading}\n\n{SECTION}\n\n{heading.replace('4', '3')}\n\n- Old\n"
    assert section_of(text, "1.4.0") == SECTION


@pytest.mark.parametrize(
    "heading", ["## 1.4.00", "## 1.4.0-rc.1", "## 11.4.0", "## 1.4", "## 1.4.0.1", "1.4.0", "## To 1.4.0"]
)
def test_a_heading_of_another_version_is_not_taken_for_it(heading: str) -> None:
    assert section_of(f"{heading}\n\n{SECTION}\n", "1.4.0") is None


@pytest.mark.parametrize(
    "body", ["", "\n\n", "### Added\n\n### Fixed\n", "<!-- to be written -->\n", "[1.4.0]: https://example.net\n"]
)
def test_a_section_that_says_nothing_is_empty(body: str) -> None:
    assert section_of(f"## 1.4.0\n{body}\n## 1.3.0\n- Old\n", "1.4.0") == ""


def test_a_heading_inside_an_example_ends_no_section() -> None:
    text = "## 1.4.0\n\n```sh\n# a comment\n## 1.3.0\n```\n- Carts\n\n## 1.3.0\n- Old\n"
    assert "Carts" in (section_of(text, "1.4.0") or "")
    assert section_of("```\n## 1.4.0\n- Example\n```\n", "1.4.0") is None


def test_a_long_section_is_cut() -> None:
    assert len(section_of("## 1.4.0\n" + "- word\n" * 2000, "1.4.0") or "") == 4000


@pytest.mark.parametrize("level", ["#", "##"])
def test_a_large_heading_of_the_same_size_ends_the_section(level: str) -> None:
    assert section_of(f"{level} 1.4.0\n\n{level} Contributing\n\nPlease do\n", "1.4.0") == ""
