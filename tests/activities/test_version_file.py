"""The version that a file states."""

import pytest

from activities.version_file import stated_version


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("package.json", '{"name": "shop", "version": "1.4.0"}'),
        ("pyproject.toml", '[project]\nname = "shop"\nversion = "1.4.0"\n'),
        ("pyproject.toml", '[project]\ndynamic = ["dependencies"]\n[tool.poetry]\nversion = "1.4.0"\n'),
        ("Cargo.toml", '[package]\nversion = "1.4.0"\n[dependencies]\nserde = { version = "2.0.0" }\n'),
        ("Cargo.toml", '[workspace.package]\nversion = "1.4.0"\n'),
        ("VERSION", "1.4.0\n"),
        ("deep/.version", "  1.4.0"),
    ],
)
def test_the_version_is_read_from_any_common_file(path: str, content: str) -> None:
    assert stated_version(path, content.encode()) == "1.4.0"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("package.json", '{"name": "shop"}'),
        ("package.json", '{"version": 14}'),
        ("package.json", '["1.4.0"]'),
        ("package.json", '{"version": "1.4'),
        ("pyproject.toml", '[project]\ndynamic = ["version"]\n'),
        ("pyproject.toml", 'version = "1.4.0"\n'),
        ("Cargo.toml", "[package]\nversion = { workspace = true }\n"),
        ("pyproject.toml", "[project"),
    ],
)
def test_a_file_without_a_version_is_not_guessed_at(path: str, content: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        stated_version(path, content.encode())


def test_a_file_that_is_no_text_has_no_version() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        stated_version("VERSION", b"\xff\xfe")
