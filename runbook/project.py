"""A project's file: everything about one project that a release needs and whoever starts one must not choose."""

import hashlib
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from runbook.artifact_table import ArtifactTable
from runbook.gate_table import GateTable
from runbook.identifier import (
    Address,
    Command,
    GitRef,
    HostAddress,
    HostPath,
    Line,
    Person,
    RepoPath,
    SecretReference,
    Slug,
    address_of,
    without_latest,
)
from runbook.proxy_table import ProxyTable, Strategy, strategy_fault
from runbook.soak_table import SoakTable
from runbook.span import Span, SpanOrNone
from runbook.table import Table


def _values(environment: dict[str, str]) -> dict[str, str]:
    for value in environment.values():
        without_latest(value)
    return environment


Environment = Annotated[dict[str, str], AfterValidator(_values)]
Port = Annotated[int, Field(ge=1, le=65535)]


class ProjectTable(Table):
    owner: Slug
    name: Slug = Field(description="The repository's name on the forge")
    repository: str = Field(
        description="Where the worker clones and pushes: https://…, ssh://… or a path; no password in it"
    )
    user: str | None = Field(default=None, description="User name for https; the forge's token is the password")
    branch: GitRef = "main"
    version_files: list[RepoPath] = Field(default=["package.json"], min_length=1)
    changelog: RepoPath = "CHANGELOG.md"
    related_issue: int | None = Field(default=None, ge=1)
    runbook: str = Field(default="", description="Link to the runbook page, for people")
    incident_template: str = Field(default="", description="Link to the incident template, for the postmortem")

    @model_validator(mode="after")
    def _no_password_in_the_address(self) -> Self:
        parts = urlsplit(self.repository)
        if "://" in self.repository and parts.password:
            raise ValueError("repository carries a password: remove it, the forge's token is used")
        if parts.scheme in {"http", "https"} and parts.username:
            raise ValueError("repository carries a user, or a token in its place: give the user under the key user")
        if self.repository.startswith("-"):
            raise ValueError("repository is an address, not an option")
        return self


class ForgeTable(Table):
    url: Address
    token: SecretReference


class PipelineTable(Table):
    workflow: Slug = Field(default="release.yml", description="The workflow's file name")
    appears_within: Span = timedelta(seconds=60)
    finishes_within: Span = timedelta(hours=1)
    attempts: int = Field(default=3, ge=1, le=10)
    poll_every: Span = timedelta(seconds=2)
    jobs: list[str] = Field(
        default=[], description="Job names that must all succeed; needed where the forge has no runs API"
    )


class CommandTable(Table):
    command: Command
    within: Span = timedelta(minutes=30)
    environment: Environment = {}


class SshTable(Table):
    user: Slug
    port: Port = 22
    key: SecretReference | None = Field(default=None, description="The private key; the agent's keys when left out")
    known_hosts: HostPath | None = Field(default=None, description="A known_hosts file; the worker's own when left out")
    socket: HostPath = "/var/run/docker.sock"


class EnvironmentTable(Table):
    """Hosts that run the service. `{host}` and `{port}` in the addresses stand for each host's own."""

    hosts: list[HostAddress] = Field(min_length=1)
    port: Port = Field(description="Where the service is published, or with blue_green where the proxy listens")
    container: Slug
    container_port: Port = 8080
    env_file: HostPath
    health: str = Field(
        default="https://{host}/health",
        description="Where 200 says that the service is well; `{host}` and `{port}`, and nothing else in braces, stand for "
        "each host's own. Scheme, host and port of staging's are what the smoke test gets as `--target`",
    )
    version: str = Field(
        default="https://{host}/version",
        description="Where the service says its version; `{host}` and `{port}` as in `health`",
    )
    stop_timeout: Span = timedelta(seconds=10)
    restart: Annotated[str, Field(pattern="^(no|unless-stopped|on-failure)$")] = "unless-stopped"
    health_deadline: Span = timedelta(minutes=5)
    good_answers: int = Field(default=3, ge=1, le=100)
    ssh: SshTable
    publish_on: HostAddress | None = Field(
        default=None, description="The address the port is published on; all when left out"
    )
    strategy: Strategy = Strategy.RECREATE
    proxy: ProxyTable | None = None

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if len(set(self.hosts)) != len(self.hosts):
            raise ValueError("hosts names one host twice")
        for host in self.hosts:
            address_of(self.health_url(host))
            address_of(self.version_url(host))
        fault = strategy_fault(self.strategy, self.proxy, self.publish_on, self.health_deadline, self.stop_timeout)
        if fault:
            raise ValueError(fault)
        return self

    def health_url(self, host: str) -> str:
        return self.health.replace("{host}", host).replace("{port}", str(self.port))

    def base_url(self, host: str) -> str:
        """Scheme, host and port of the service on this host: the smoke test's target."""
        parts = urlsplit(self.health_url(host))
        return f"{parts.scheme}://{parts.netloc}"

    def version_url(self, host: str) -> str:
        return self.version.replace("{host}", host).replace("{port}", str(self.port))

    @property
    def addresses(self) -> set[str]:
        """Every address at which the service is asked."""
        return {url(host) for host in self.hosts for url in (self.health_url, self.version_url)}


class StagingTable(EnvironmentTable):
    rehearse_rollback: bool = Field(
        default=False, description="Before the gate opens: deploy, roll back, deploy again on every staging host"
    )


class OnUnhealthy(StrEnum):
    ROLL_BACK = "roll_back"
    ASK = "ask"


class ProductionTable(EnvironmentTable):
    batch_size: int = Field(default=1, ge=1)
    pause: SpanOrNone = timedelta(0)
    max_downtime: Span | None = Field(
        default=None, description="Longest a swap may leave a host's service away; more counts as unhealthy"
    )
    on_unhealthy: OnUnhealthy = OnUnhealthy.ROLL_BACK
    soak: SoakTable = SoakTable()

    def batches(self) -> list[list[str]]:
        """The hosts in the order of their promotion: the first alone as the canary, then `batch_size` at a time."""
        canary, rest = self.hosts[:1], self.hosts[1:]
        return [canary, *(rest[i : i + self.batch_size] for i in range(0, len(rest), self.batch_size))]


class WaitTable(Table):
    """How long a release waits for a person when a step needs one, and how often it reminds."""

    person: Span = timedelta(days=1)
    remind_every: Span = timedelta(hours=1)


class NotifyTable(Table):
    """apprise addresses, one in a secret; they carry tokens, so each is a secret reference."""

    on_call: list[SecretReference] = Field(min_length=1)
    approvers: list[SecretReference] = []
    people: dict[Person, SecretReference] = Field(
        default={}, description="An approver's own address: told there, and only while that person has to decide"
    )
    window: Line = ""


class Project(Table):
    """One project's file, whole."""

    project: ProjectTable
    forge: ForgeTable
    pipeline: PipelineTable = PipelineTable()
    artifact: ArtifactTable
    uat: CommandTable
    staging: StagingTable
    production: ProductionTable
    smoke_test: CommandTable
    gate: GateTable
    wait: WaitTable = WaitTable()
    notify: NotifyTable

    @model_validator(mode="after")
    def _staging_apart(self) -> Self:
        """What staging does before the gate must not reach what production runs."""
        staging, production = self.staging, self.production
        same_engine = (staging.ssh.port, staging.ssh.socket) == (production.ssh.port, production.ssh.socket)
        shared = [host for host in staging.hosts if same_engine and host in production.hosts]
        behind = (staging.proxy, production.proxy)
        same_port = staging.port == production.port and None in behind
        same_way = behind[0] is not None and behind[1] is not None and behind[0].shares(behind[1])
        if shared and (staging.container == production.container or same_port or same_way):
            raise ValueError(
                f"staging and production share host {shared[0]} and there a container or port, or a proxy's handler or address:"
                " before the gate staging would change production, give it its own"
            )
        return self

    @property
    def shared_addresses(self) -> list[str]:
        """Where staging and production would both be asked: what is tried there before the gate would try production.

        For whoever reads the file: a plan in history is past that.
        """
        return sorted(self.staging.addresses & self.production.addresses)

    def secrets(self) -> list[str]:
        """Every secret reference in the file, so that a missing one is named before anything starts."""
        found = [self.forge.token, *self.notify.on_call, *self.notify.approvers, *self.notify.people.values()]
        if self.artifact.credentials:
            found.append(self.artifact.credentials.password)
        found += [table.ssh.key for table in (self.staging, self.production) if table.ssh.key]
        return found


def fingerprint(content: bytes) -> str:
    """sha256 of a project file's bytes, as kept in the plan."""
    return "sha256:" + hashlib.sha256(content).hexdigest()
