"""A project's file: what it takes, and that every fault is named with its place and what to do."""

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from runbook.project import Project, fingerprint
from tests.projects import project, project_table

PROXY = {"handler": "shop", "network": "shop", "addresses": ["172.30.0.2", "172.30.0.3"]}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The tables with this one value at `table.key.key`; None takes the key away."""
    table: dict[str, Any] = json.loads(json.dumps(project_table()))  # nothing in it is one with something else
    *keys, last = path.split(".")
    place = table
    for key in keys:
        place = place.setdefault(key, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return table


def faults(table: dict[str, Any]) -> list[str]:
    """Every fault as `place: message`."""
    with pytest.raises(ValidationError) as error:
        Project.model_validate(table)
    return [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.value.errors()]


def test_a_small_file_has_the_runbooks_figures() -> None:
    read = project()
    assert read.project.branch == "main"
    assert (read.project.version_files, read.project.changelog) == (["package.json"], "CHANGELOG.md")
    assert (read.pipeline.appears_within, read.pipeline.attempts) == (timedelta(seconds=60), 3)
    assert read.production.health_deadline == timedelta(minutes=5)
    assert (read.gate.approvals, read.gate.requester_may_approve) == (1, False)
    assert read.production.on_unhealthy == "roll_back"
    assert read.production.restart == "unless-stopped"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("artifact.image", "acme/shop:latest"),
        ("artifact.scan", ["trivy", "image", "acme/scanner:latest"]),
        ("artifact.manifest.url", "https://example.net/manifests:latest"),
        ("uat.command", ["docker", "run", "acme/uat:latest"]),
        ("uat.environment", {"IMAGE": "registry.example.net/acme/shop:latest"}),
        ("smoke_test.command", ["run", "--image=acme/smoke:latest"]),
        ("smoke_test.environment", {"IMAGE": "shop:latest"}),
        ("forge.url", "https://git.example.net/x:latest"),
    ],
)
def test_latest_is_refused_wherever_it_could_be_written(path: str, value: Any) -> None:
    table = changed(path, value)
    if path == "artifact.manifest.url":
        del table["artifact"]["manifest"]["path"], table["artifact"]["manifest"]["ref"]
    [fault] = faults(table)
    assert fault.startswith(path.split(".", maxsplit=1)[0])
    assert "latest" in fault


@pytest.mark.parametrize(
    "path",
    ["forge.token", "artifact.credentials.password", "staging.ssh.key", "production.ssh.key"],
)
@pytest.mark.parametrize("value", ["s3cret", "env:", "file:", "ENV:TOKEN", "-----BEGIN KEY-----", ""])
def test_a_secret_is_never_written_in_the_file(path: str, value: str) -> None:
    table = project_table()
    table["artifact"]["credentials"] = {"user": "robot", "password": "env:PASSWORD"}
    *keys, last = path.split(".")
    place: dict[str, Any] = table
    for key in keys:
        place = place[key]
    place[last] = value
    assert any(fault.startswith(path) and "say env:NAME or file:/path" in fault for fault in faults(table))


@pytest.mark.parametrize("who", ["on_call", "approvers"])
def test_an_address_of_people_is_a_secret_too(who: str) -> None:
    [fault] = faults(changed(f"notify.{who}", ["mailto://robot:s3cret@example.net"]))
    assert fault.startswith(f"notify.{who}.0: ")
    assert "a secret is never written here" in fault


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("project.repository", "https://robot:s3cret@git.example.net/acme/shop.git"),
        ("project.repository", "https://s3cret@git.example.net/acme/shop.git"),
        ("forge.url", "https://robot:s3cret@git.example.net"),
        ("production.health", "https://robot:s3cret@{host}/health"),
        ("staging.version", "https://robot@{host}/version"),
    ],
)
def test_no_address_carries_a_user_or_a_password(path: str, value: str) -> None:
    [fault] = faults(changed(path, value))
    assert "carries" in fault
    assert "s3cret" not in fault


def test_an_ssh_address_may_name_its_user() -> None:
    for repository in ("ssh://git@git.example.net/acme/shop.git", "git@git.example.net:acme/shop.git", "/srv/shop.git"):
        assert Project.model_validate(changed("project.repository", repository)).project.repository == repository


@pytest.mark.parametrize(
    "table", ["project", "forge", "artifact", "production", "production.ssh", "production.soak", "gate"]
)
def test_an_unknown_key_is_refused_with_its_place(table: str) -> None:
    assert faults(changed(f"{table}.helth", "x")) == [f"{table}.helth: Extra inputs are not permitted"]


def test_an_unknown_table_is_refused() -> None:
    assert faults({**project_table(), "producton": {}}) == ["producton: Extra inputs are not permitted"]


@pytest.mark.parametrize(
    "table", ["project", "forge", "artifact", "uat", "staging", "production", "smoke_test", "gate", "notify"]
)
def test_a_missing_table_is_named(table: str) -> None:
    assert faults(changed(table, None)) == [f"{table}: Field required"]


def test_every_fault_is_named_at_once() -> None:
    table = project_table()
    table["production"]["hosts"] = ["production-1", "a b"]
    table["production"]["port"] = 0
    table["forge"]["token"] = "s3cret"
    table["gate"]["approvers"] = []
    places = [fault.split(": ")[0] for fault in faults(table)]
    assert places == ["forge.token", "production.hosts.1", "production.port", "gate.approvers"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("production.hosts", [], "at least 1 item"),
        ("production.hosts", ["a", "a"], "hosts names one host twice"),
        ("production.hosts", ["-oProxyCommand=touch"], "is not a host name or address"),
        ("production.port", 65536, "less than or equal to 65535"),
        ("production.env_file", "production.env", "is not an absolute path"),
        ("production.restart", "always", "String should match pattern"),
        ("production.health", "ftp://{host}", "is not an http(s) address"),
        ("production.strategy", "canary", "Input should be 'recreate' or 'blue_green'"),
        ("production.strategy", "blue_green", "needs the table proxy: which handler of Caddy, which two addresses"),
        ("production.proxy", PROXY, 'a proxy is used by strategy = "blue_green" only'),
        ("production.batch_size", 0, "greater than or equal to 1"),
        ("production.soak.lasts", "forever", "is not a length of time: write it like 90s, 5m, 2h or 7d"),
        ("uat.command", [], "a command is a list of words, the program first"),
        ("uat.command", "npm run uat", "valid list"),
        ("project.repository", "--upload-pack=touch", "repository is an address, not an option"),
        ("project.version_files", [], "at least 1 item"),
        ("project.changelog", "../CHANGELOG.md", "is not a path inside the repository"),
        ("artifact.registry", "https://registry.example.net", "is not a registry address"),
        ("artifact.manifest", {}, "give exactly one of path, file and url"),
        ("artifact.manifest", {"path": "a", "url": "https://x"}, "give exactly one of path, file and url"),
        ("artifact.manifest", {"path": "a", "host": "h"}, "host needs file"),
        ("pipeline.attempts", 11, "less than or equal to 10"),
        ("gate.approvals", 3, "3 approvals are needed but only 2 may approve"),
        ("notify.on_call", [], "at least 1 item"),
        ("notify.window", "a\nb", "String should match pattern"),
    ],
)
def test_what_can_not_be_meant_is_refused(path: str, value: Any, message: str) -> None:
    assert any(message in fault for fault in faults(changed(path, value)))


@pytest.mark.parametrize("same", ["container", "port"])
def test_staging_that_would_change_production_is_refused(same: str) -> None:
    table = project_table()
    table["staging"] |= {"hosts": ["production-2"], "container": "shop-staging", "port": 9090}
    assert Project.model_validate(table)
    table["staging"][same] = table["production"][same]
    [fault] = faults(table)
    assert "staging and production share host production-2 and there a container or port" in fault


def test_one_address_with_two_engines_is_two_hosts() -> None:
    table = project_table()
    table["staging"] |= {"hosts": ["production-2"], "container": "shop", "ssh": {"user": "deploy", "port": 2222}}
    assert Project.model_validate(table)


@pytest.mark.parametrize(
    ("hosts", "size", "batches"),
    [
        (["a"], 1, [["a"]]),
        (["a", "b", "c"], 1, [["a"], ["b"], ["c"]]),
        (["a", "b", "c"], 2, [["a"], ["b", "c"]]),
        (["a", "b", "c", "d", "e", "f"], 2, [["a"], ["b", "c"], ["d", "e"], ["f"]]),
        (["a", "b", "c"], 9, [["a"], ["b", "c"]]),
    ],
)
def test_the_canary_goes_alone_and_the_rest_in_batches(hosts: list[str], size: int, batches: list[list[str]]) -> None:
    assert project(production={"hosts": hosts, "batch_size": size}).production.batches() == batches


def test_addresses_stand_for_each_hosts_own() -> None:
    production = project(production={"health": "http://{host}:{port}/up", "port": 81}).production
    assert production.health_url("a") == "http://a:81/up"
    assert production.base_url("a") == "http://a:81"
    assert production.version_url("b") == "https://b/version"


def test_every_secret_is_named_before_anything_starts() -> None:
    table = project_table()
    table["artifact"]["credentials"] = {"user": "robot", "password": "file:/run/secrets/registry"}
    assert set(Project.model_validate(table).secrets()) == {
        "env:FORGE_TOKEN",
        "env:ON_CALL",
        "env:APPROVERS",
        "env:SSH_KEY",
        "file:/run/secrets/registry",
    }


def test_a_project_survives_its_way_through_history() -> None:
    read = project(gate={"expires_after": "36h"}, production={"pause": "90s"})
    assert Project.model_validate(json.loads(read.model_dump_json())) == read


def test_the_fingerprint_is_of_the_bytes() -> None:
    assert fingerprint(b"a") != fingerprint(b"a\n")
    assert fingerprint(b"").startswith("sha256:e3b0c44298fc1c149afbf4c8996fb924")


def behind_a_proxy(**keys: Any) -> dict[str, Any]:
    """A table whose production is switched; these keys of the proxy are other ones."""
    table = project_table()
    table["production"] |= {"strategy": "blue_green", "proxy": {**PROXY, **keys}}
    return table


def test_a_switched_production_has_its_proxy() -> None:
    proxy = Project.model_validate(behind_a_proxy()).production.proxy
    assert proxy
    assert (proxy.admin, proxy.drain) == ("localhost:2019", timedelta(seconds=30))
    socket = Project.model_validate(behind_a_proxy(admin="/run/caddy-switch/admin.sock", drain=0)).production.proxy
    assert socket
    assert (socket.admin, socket.drain) == ("/run/caddy-switch/admin.sock", timedelta(0))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"addresses": ["172.30.0.2"]}, "at least 2 items"),
        ({"addresses": ["172.30.0.2", "172.30.0.3", "172.30.0.4"]}, "at most 2 items"),
        ({"addresses": ["172.30.0.2", "172.30.0.2"]}, "the same address twice"),
        ({"addresses": ["172.30.0.2", "8.8.8.8"]}, "is not an IPv4 address of a private network"),
        ({"addresses": ["172.30.0.2", "shop"]}, "is not an IPv4 address of a private network"),
        ({"admin": "localhost"}, "is neither host:port nor the path of a UNIX socket"),
        ({"admin": "local host:2019"}, "is neither host:port nor the path of a UNIX socket"),
        ({"admin": "localhost:99999"}, "is neither host:port nor the path of a UNIX socket"),
        ({"handler": "shop/upstreams"}, "is not a name"),
        ({"network": "-shop"}, "is not a name"),
        ({"drain": "9m"}, "together 9 min at most"),
    ],
)
def test_a_proxy_that_can_not_be_meant_is_refused(keys: dict[str, Any], message: str) -> None:
    assert any(message in fault for fault in faults(behind_a_proxy(**keys)))


def test_behind_a_proxy_nothing_is_published() -> None:
    table = behind_a_proxy()
    table["production"]["publish_on"] = "192.0.2.1"
    [fault] = faults(table)
    assert 'publish_on is for strategy = "recreate"' in fault


@pytest.mark.parametrize(
    ("keys", "is_refused"),
    [
        ({}, True),
        ({"handler": "staging"}, True),
        ({"addresses": ["172.30.0.4", "172.30.0.5"]}, True),
        ({"handler": "staging", "addresses": ["172.30.0.3", "172.30.0.4"]}, True),
        ({"handler": "staging", "addresses": ["172.30.0.4", "172.30.0.5"]}, False),
        ({"handler": "staging", "network": "other"}, False),
    ],
)
def test_staging_behind_the_same_proxy_has_a_way_of_its_own(keys: dict[str, Any], *, is_refused: bool) -> None:
    """Their port may be one: it is the proxy's."""
    table = behind_a_proxy()
    table["staging"] |= {"hosts": ["production-2"], "strategy": "blue_green", "proxy": {**PROXY, **keys}}
    if is_refused:
        assert any("proxy's handler or address" in fault for fault in faults(table))
    else:
        Project.model_validate(table)
