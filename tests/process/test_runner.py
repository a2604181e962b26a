"""Workflows in the SDK's sandbox, which is entered for a workflow task and for nothing else."""

import time

import pytest
from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import WorkflowHistory
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import Replayer, WorkflowInstance
from temporalio.workflow import Info

from process.runner import Instance, Runner
from tests.empty_workflow import Empty, empty_history


@workflow.defn(name="Empty")
class LooksAtTheClock:
    @workflow.run
    async def run(self) -> None:
        time.time()


class Sandboxed(WorkflowInstance):
    """Answers activations and what the worker asks of a deadlocked run; being asked for anything else is too much."""

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        return WorkflowActivationCompletion(run_id=act.run_id)

    def get_serialization_context(self, command_info: object) -> SerializationContext | None:
        raise AssertionError("the sandbox was entered for a payload")

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        raise AssertionError("the sandbox was entered for a payload")

    def get_info(self) -> Info:
        raise AssertionError("nothing here asks for it")

    def get_thread_id(self) -> int | None:
        return 7


async def test_a_workflow_that_looks_at_the_clock_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"Cannot access time\.time"):
        await _replay(LooksAtTheClock)


async def test_a_workflow_that_does_not_is_run() -> None:
    await _replay(Empty)


def test_the_sandbox_is_entered_for_a_task_and_not_for_a_payload() -> None:
    instance = Instance(Sandboxed())
    assert instance.activate(WorkflowActivation(run_id="1")).run_id == "1"
    assert instance.get_thread_id() == 7
    assert instance.get_serialization_context(None) is None
    assert instance.get_external_store_context(None) == StorageDriverStoreContext()


async def _replay(kind: type[object]) -> None:
    replayer = Replayer(workflows=[kind], workflow_runner=Runner())
    await replayer.replay_workflow(WorkflowHistory.from_json("release-shop", empty_history()))
