"""What is set up in Temporal."""

import json
import re
import time

import yaml

from tests.deploy.running import DEPLOY, ended, output_of
from tests.servers import TemporalServer, temporal_binary


def test_every_dynamic_setting_is_one_value_of_a_service() -> None:
    table = yaml.safe_load((DEPLOY / "temporal" / "dynamicconfig.yaml").read_text())
    for name, [entry] in table.items():
        assert re.fullmatch(r"(history|frontend|matching|limit|system)\.\w+", name)
        assert set(entry) == {"value"}


def test_the_namespace_is_made_and_remembers_for_as_long_as_it_is_told_to(temporal: TemporalServer) -> None:
    path = f"{temporal_binary().parent}:/usr/bin:/bin"
    variables = {**temporal.environment, "TEMPORAL_NAMESPACE": "deployed", "PATH": path}
    describe = [str(temporal_binary()), "operator", "namespace", "describe", "--output", "json"]
    for days in (30, 90):
        prepare({**variables, "RETENTION": f"{days}d"})
        told = json.loads(output_of(describe, environment=variables))
        assert told["config"]["workflowExecutionRetentionTtl"] == f"{days * 86400}s"


def prepare(variables: dict[str, str]) -> None:
    """Compose starts the script again when it fails, which it does for seconds after the namespace was made."""
    deadline = time.monotonic() + 45
    while True:
        done = ended(["sh", str(DEPLOY / "temporal" / "namespace.sh")], environment=variables)
        if done.returncode == 0:
            return
        assert time.monotonic() < deadline, done.stderr
