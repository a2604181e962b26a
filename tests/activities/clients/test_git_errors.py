"""What git and the forges behind it say, as their sources print it, and what it means for a release."""

import pytest

from activities.clients.git_command import Output
from activities.clients.git_errors import failure
from activities.clients.git_remote import Remote, remote_of
from activities.errors import Refused, StepError, Unreachable
from runbook.project import ForgeTable, ProjectTable
from runbook.trouble import Cause

REMOTE = Remote("acme/shop", "ssh://git@git.example.net/acme/shop.git")


@pytest.mark.parametrize(
    ("said", "error", "cause", "advice"),
    [
        ("fatal: Authentication failed for 'https://git.example.net/'", Refused, Cause.CREDENTIALS, "token"),
        (
            "fatal: could not read Username for 'https://git.example.net': terminal prompts disabled",
            Refused,
            Cause.CREDENTIALS,
            "token",
        ),
        ("git@git.example.net: Permission denied (publickey).", Refused, Cause.CREDENTIALS, "token"),
        (
            "remote: Deploy Key: 7 is not authorized to write to acme/shop.\nfatal: Could not read from remote repository.",
            Refused,
            Cause.CREDENTIALS,
            "token",
        ),
        ("Host key verification failed.\nfatal: ...", Refused, Cause.CREDENTIALS, "known_hosts"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", Refused, Cause.CREDENTIALS, "known_hosts"),
        ("remote: Repo: acme/shop is archived.\nfatal: ...", Refused, Cause.REFUSED, "unarchive"),
        ("remote: Cannot find repository: acme/shop", Refused, Cause.REFUSED, "check project.repository"),
        ("fatal: '/srv/x' does not appear to be a git repository", Refused, Cause.REFUSED, "check project.repository"),
        ("ssh: connect to host git.example.net port 22: Connection timed out", Unreachable, Cause.UNREACHABLE, ""),
        ("fatal: the remote end hung up unexpectedly", Unreachable, Cause.UNREACHABLE, ""),
        ("", Unreachable, Cause.UNREACHABLE, "exit code 128 without a word"),
    ],
)
def test_what_git_says_decides_who_has_to_act(said: str, error: type[StepError], cause: Cause, advice: str) -> None:
    found = failure(Output(128, b"", said), REMOTE, "fetch")
    assert isinstance(found, error)
    assert found.cause is cause
    assert str(found).startswith("could not fetch acme/shop (ssh://git@git.example.net/acme/shop.git): ")
    assert advice in str(found)
    assert len(str(found).splitlines()) == 1


def test_the_servers_own_words_come_before_gits() -> None:
    said = "error: failed to push some refs\nremote: \nremote: Gitea: quota exceeded\nfatal: sorry\n"
    assert "remote: Gitea: quota exceeded" in str(failure(Output(1, b"", said), REMOTE, "push to"))


@pytest.mark.parametrize(
    "address", ["/srv/git/shop.git", "ssh://git@git.example.net/shop.git", "git@git.example.net:shop"]
)
def test_the_token_is_for_http_alone(address: str) -> None:
    project = ProjectTable(owner="acme", name="shop", repository=address)
    remote = remote_of(project, ForgeTable(url="https://git.example.net", token="env:NOWHERE_TO_BE_FOUND"))
    assert remote.environment() == {}


def test_two_addresses_never_share_a_mirror() -> None:
    keys = {Remote("acme/shop", address).key for address in ("/a/b", "/a-b", "https://git.example.net/a")}
    assert len(keys) == 3
