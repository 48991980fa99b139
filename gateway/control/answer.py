"""Turns the answers to one request into the replies of the call that made it."""

import asyncio

from gateway.control.connection import Ongoing
from gateway.control.daemon import Daemon
from gateway.domain.commands import AnswerRequest

ANSWER_TIMEOUT_S = 180.0
"""A valve may run for its longest time, try again, and then say so."""


class Answers:
    """Waits for the final answer; a caller that takes several replies also gets the ones before it."""

    def __init__(self, ongoing: Ongoing, command_id: str) -> None:
        self._ongoing = ongoing
        self._command_id = command_id

    def await_from(self, daemon: Daemon) -> None:
        """Begin to listen; before the request is made."""
        self._ongoing.closing.enter_context(daemon.on_answer(self._command_id, self._tell))
        patience = asyncio.get_running_loop().call_later(ANSWER_TIMEOUT_S, self._give_up)
        self._ongoing.closing.callback(patience.cancel)

    def _tell(self, answer: AnswerRequest) -> None:
        match answer.state:
            case "succeeded":
                self._reply(answer)
            case "rejected":
                self._fail("Refused", answer)
            case "failed":
                self._fail("Failed", answer)
            case _ if self._ongoing.streams:
                self._reply(answer, continues=True)

    def _reply(self, answer: AnswerRequest, *, continues: bool = False) -> None:
        parameters = {"command_id": answer.command_id, "state": answer.state, "detail": answer.detail}
        self._ongoing.reply(parameters, continues=continues)

    def _fail(self, error: str, answer: AnswerRequest) -> None:
        message = answer.detail or answer.reason.replace("_", " ")
        self._ongoing.fail(error, command_id=answer.command_id, reason=answer.reason, message=message)

    def _give_up(self) -> None:
        message = f"no final answer within {ANSWER_TIMEOUT_S:.0f} s; what was asked may still happen"
        self._ongoing.fail("NoAnswer", command_id=self._command_id, message=message)
