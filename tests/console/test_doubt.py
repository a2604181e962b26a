"""Which errors leave it open whether something was done, and what is said of them."""

import pytest
from temporalio.service import RPCError, RPCStatusCode

from console.doubt import done, in_doubt, leaves_open
from console.exit_status import ExitStatus
from console.refusal import Refusal

REFUSING = {
    RPCStatusCode.OK,
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.NOT_FOUND,
    RPCStatusCode.ALREADY_EXISTS,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.OUT_OF_RANGE,
    RPCStatusCode.UNIMPLEMENTED,
    RPCStatusCode.UNAUTHENTICATED,
}


def error(status: RPCStatusCode) -> RPCError:
    return RPCError("Timeout expired", status, b"")


@pytest.mark.parametrize("status", RPCStatusCode)
def test_only_a_plain_no_leaves_nothing_open(status: RPCStatusCode) -> None:
    assert leaves_open(error(status)) is (status not in REFUSING)


def test_a_lost_answer_is_no_refusal_and_says_what_may_have_been_done() -> None:
    with pytest.raises(Refusal) as caught, in_doubt("abort: it may have been heard"):
        raise error(RPCStatusCode.CANCELLED)
    assert caught.value.status is ExitStatus.GOING_ON
    assert str(caught.value) == "no answer from Temporal (cancelled: Timeout expired); abort: it may have been heard"


def test_a_plain_no_stays_one_until_something_was_done() -> None:
    with pytest.raises(RPCError), in_doubt("abort: it may have been heard"):
        raise error(RPCStatusCode.PERMISSION_DENIED)
    with pytest.raises(Refusal, match=r"permission denied: .*; it was started") as caught, done("it was started"):
        raise error(RPCStatusCode.PERMISSION_DENIED)
    assert caught.value.status is ExitStatus.GOING_ON
