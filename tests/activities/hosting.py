"""Orders to one host."""

from typing import Any

from runbook.image import Image
from runbook.project import EnvironmentTable
from runbook.service import HealthToVerify
from tests.activities.host_bench import (
    ADDRESS,
    ref,
)


def common(environment: EnvironmentTable) -> dict[str, Any]:
    return {"ref": ref(10), "environment": environment, "host": ADDRESS}


def health(environment: EnvironmentTable, image: Image, container: str | None = None) -> HealthToVerify:
    return HealthToVerify(**common(environment), image=image, container_id=container)
