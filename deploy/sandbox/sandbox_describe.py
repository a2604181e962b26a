"""The facts of a sandbox, put together from its settings and its place."""

import os

from deploy.sandbox.sandbox_facts import ForgeFacts, HostFacts, RegistryFacts, SandboxFacts
from deploy.sandbox.sandbox_place import Place
from deploy.sandbox.sandbox_project import PASSWORD_ENV, TOKEN_ENV
from deploy.sandbox.settings import PROJECT, REPOSITORY, SSH_USER, EngineKind, Layout, Role, SandboxSettings

RELEASE_USER = "release-bot"


def describe(layout: Layout, settings: SandboxSettings, place: Place, engine: EngineKind) -> SandboxFacts:
    forge, registry = f"http://{place.services}:{place.ports['forge']}", f"http://{place.registry}"
    admin = f"http://{place.services}:{place.ports['admin']}"
    owner, name = REPOSITORY.split("/")
    return SandboxFacts(
        root=layout.root,
        pid=os.getpid(),
        project=PROJECT,
        engine=engine,
        admin=admin,
        on_call=f"{admin.replace('http', 'json')}/on-call",
        forge=ForgeFacts(
            url=forge,
            repository=f"{forge}/{REPOSITORY}.git",
            owner=owner,
            name=name,
            user=RELEASE_USER,
            token_env=TOKEN_ENV,
            flavour=settings.flavour,
            faults=f"{forge}/-/faults",
        ),
        registry=RegistryFacts(
            address=place.registry,
            image=REPOSITORY,
            user=RELEASE_USER,
            password_env=PASSWORD_ENV,
            auth=settings.registry_auth,
            faults=f"{registry}/-/faults",
        ),
        hosts=[_host_facts(layout, place, host, role, admin) for host, role in settings.roles()],
        ssh_user=SSH_USER,
        ssh_key=layout.client_key,
        known_hosts=layout.known_hosts,
        projects=layout.projects,
        worker_env=layout.worker_env,
    )


def _host_facts(layout: Layout, place: Place, name: str, role: Role, admin: str) -> HostFacts:
    address, port = place.hosts[name], place.ports[role]
    return HostFacts(
        name=name,
        role=role,
        address=address,
        ssh_port=place.ports["ssh"],
        port=port,
        url=f"http://{address}:{port}",
        files=layout.host(name) / "files",
        env_file=layout.env_file(name, role),
        engine_socket=layout.engine_socket(name),
        admin=f"{admin}/hosts/{name}",
    )
