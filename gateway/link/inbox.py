"""Commands and receipts from the cloud: checked, run at most once, answered.

What is not signed by the cloud is only counted (and reported now and then): a broken-into broker must not
be able to fill our disk with answers.
"""

import asyncio
import math
from collections import Counter
from typing import TYPE_CHECKING, Final

from gateway.domain.commands import AnswerRequest, Publish
from gateway.domain.model import Channel, Json
from gateway.errors import CommandError, StoreError
from gateway.link.host import Host
from gateway.link.keys import CommandKeys
from gateway.link.pace import Pace

if TYPE_CHECKING:  # at run time only once there is a command to check: it loads msgspec, 2 MiB
    from gateway.domain.update.asked import UpdateAsked
    from gateway.link.command import Command, Receipt

TOKEN_MAX_BYTES: Final = 16 * 1024
CLAIM_WAIT_S: Final = 3.0
REPORT_EVERY_S: Final = 60.0
_REFUSALS_PER_S: Final = 1.0
_REFUSALS_BURST: Final = 20.0


class Inbox:
    """Lives as long as the daemon, so that its counts and limits survive a reconnect.

    Attributes:
        refused: How often each reason refused something.
    """

    def __init__(self, host: Host, keys: CommandKeys) -> None:
        self.refused: Counter[str] = Counter()
        self._host = host
        self._keys = keys
        self._pace = Pace(_REFUSALS_PER_S, _REFUSALS_BURST)
        self._reported_at_s = -math.inf

    def forget_keys(self) -> None:
        """Read the cloud's keys anew before the next command is checked."""
        self._keys.forget()

    async def take(self, kind: str, token: bytes, *, retained: bool = False) -> "Receipt | None":
        """Handle one message of the command topics; return it if it is a receipt. Never raises on content."""
        command_id = None
        try:
            _check_shape(token, retained=retained)
            signed = await self._keys.payload(token)
            from gateway.link import command as commands  # noqa: PLC0415  the keys have loaded it

            if kind == "receipt":
                return commands.receipt(signed, self._host.origin.gateway)
            command_id = commands.sender_id(signed)
            command = commands.judge(signed, self._host.origin.gateway, kind, self._host.now())
            await self._claim(command)
        except CommandError as error:
            self._refuse(command_id, error)
        else:
            self._run(command)
        return None

    async def _claim(self, command: "Command") -> None:
        """Make sure that nobody has run it before, also before a crash."""
        try:
            async with asyncio.timeout(CLAIM_WAIT_S):
                first = await self._host.outbox.claim(command.id, command.not_after)
        except (StoreError, TimeoutError):
            if command.closes:
                return  # water weighs more than doing it twice
            raise CommandError("store_unavailable", "the disk cannot promise to run it only once") from None
        if not first:
            raise CommandError("duplicate", "this id was taken before; its outcome is reported under it")

    def _run(self, command: "Command") -> None:
        self._host.execute(AnswerRequest(command.id, "received"))
        event, asked = command.event, command.asked
        if asked is not None:
            self._order(command, asked)
        elif event is not None:
            self._host.emit(event)
        else:  # a ping
            self._host.execute(AnswerRequest(command.id, "succeeded"))

    def _order(self, command: "Command", asked: "UpdateAsked") -> None:
        if self._host.order is None:
            self._host.execute(AnswerRequest(command.id, "rejected", "unknown_kind", "takes no updates"))
        else:
            self._host.order(asked)

    def _refuse(self, command_id: str | None, error: CommandError) -> None:
        self.refused[error.reason] += 1
        now_s = self._host.now().mono_s
        if command_id is not None and self._pace.allowance(now_s):
            self._pace.spend(1)
            self._host.execute(AnswerRequest(command_id, "rejected", error.reason, error.detail))
        elif now_s >= self._reported_at_s + REPORT_EVERY_S:
            self._reported_at_s = now_s
            counts: dict[str, Json] = {**self.refused}
            body: dict[str, Json] = {"last_reason": error.reason, "detail": error.detail, "counts": counts}
            self._host.execute(Publish(Channel.EVENT, "commands-refused", body))


def _check_shape(token: bytes, *, retained: bool) -> None:
    if retained:
        raise CommandError("retained", "a retained message is no command")
    if len(token) > TOKEN_MAX_BYTES:
        raise CommandError("too_large", f"{len(token)} bytes; {TOKEN_MAX_BYTES} at most")
