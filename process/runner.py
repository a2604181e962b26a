"""How workflows are run: in the SDK's sandbox, entered once a workflow task and not for each payload as well (decision 17)."""

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info


class Instance(WorkflowInstance):
    """A run in its sandbox that says, without entering it, that how a payload is converted depends on no context.

    True of every converter that neither encrypts by context nor keeps payloads elsewhere.
    """

    def __init__(self, sandboxed: WorkflowInstance) -> None:
        self._sandboxed = sandboxed

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        return self._sandboxed.activate(act)

    def get_serialization_context(self, command_info: object) -> SerializationContext | None:  # noqa: ARG002 - the SDK asks so
        return None

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:  # noqa: ARG002 - the SDK asks so
        return StorageDriverStoreContext()

    def get_info(self) -> Info:
        return self._sandboxed.get_info()

    def get_thread_id(self) -> int | None:
        return self._sandboxed.get_thread_id()


class Runner(SandboxedWorkflowRunner):
    """The SDK's sandbox; our own code is passed through, kept deterministic where it is written (decision 18)."""

    def __init__(self) -> None:
        super().__init__(
            restrictions=SandboxRestrictions.default.with_passthrough_modules("runbook", "semver", "workflows")
        )

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return Instance(super().create_instance(det))
