import pytest

from activities.env_file import parsed
from activities.errors import Refused


def test_lines_are_read_as_docker_reads_them() -> None:
    content = (
        b"\xef\xbb\xbf# the shop's settings\n"
        b"COLOUR=green\r\n"
        b"\n"
        b"   INDENTED=yes\n"
        b'QUOTED="as written"\n'
        b"SPACED= a b \n"
        b"EQUALS=a=b#c\n"
        b"EMPTY=\n"
        b"FROM_OUTSIDE\n"
        b"  # COMMENTED=out\n"
        b"LAST=line"
    )
    assert parsed(content, "here") == [
        "COLOUR=green",
        "INDENTED=yes",
        'QUOTED="as written"',
        "SPACED= a b ",
        "EQUALS=a=b#c",
        "EMPTY=",
        "LAST=line",
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"=hunter2", "no name before"),
        (b"export PASSWORD=hunter2", "blank in the name"),
        (b"PASSWORD =hunter2", "blank in the name"),
        (b"PASSWORD=hunter2\xff", "not UTF-8"),
    ],
)
def test_a_line_that_docker_refuses_is_refused_by_its_number_alone(line: bytes, what: str) -> None:
    with pytest.raises(Refused, match=rf"web1:/etc/shop\.env line 3.*{what}") as refused:
        parsed(b"A=1\nB=2\n" + line + b"\n", "web1:/etc/shop.env")
    assert "hunter2" not in str(refused.value)
    assert "PASSWORD" not in str(refused.value)


def test_an_empty_file_is_no_environment() -> None:
    assert parsed(b"", "here") == []
