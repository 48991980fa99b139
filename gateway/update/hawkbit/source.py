"""hawkBit as a source of updates.

Rules of DDI that shape this: an action stays open until it is closed, whatever happens to us; a cancellation
wants an answer; a denied confirmation leaves the action waiting. So everything here can be said twice, and
is, after a restart or a lost answer.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable
from typing import Final

from gateway.domain.update.model import Code, Order, State, Update
from gateway.errors import UpdateError
from gateway.update.hawkbit import feedback
from gateway.update.hawkbit.client import Client
from gateway.update.hawkbit.memory import LEAST_S, Memory
from gateway.update.hawkbit.orders import SOURCE, action_of, order
from gateway.update.hawkbit.settings import Settings
from gateway.update.hawkbit.windows import Windows
from gateway.update.hawkbit.wire import Action, Offer
from gateway.update.ports import Clock

_ROUNDS: Final = 4
"""Of asking what there is, when what there was has been settled."""
_WATCHED_S: Final = 300.0
"""While an update is under way, a cancellation is seen within this time at least."""
_MAX_VALUE: Final = 128  # characters in hawkBit's column
_TOO_LATE: Final = frozenset(
    {
        State.INSTALLING,
        State.REBOOTING,
        State.VERIFYING,
        State.SUCCEEDED,
        State.FAILED,
        State.REJECTED,
        State.ROLLED_BACK,
    }
)
"""The machine does not cancel in these."""

_log = logging.getLogger(__name__)


class Hawkbit:
    """A hawkBit server, seen from one gateway (Source).

    Args:
        client: To it.
        memory: From earlier runs.
        updates: Return every update that this gateway remembers: the one under way and former ones.
        settings: Of this gateway.
        clock: Its time.
    """

    name = SOURCE

    def __init__(
        self,
        client: Client,
        memory: Memory,
        updates: Callable[[], Iterable[Update]],
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._client = client
        self._memory = memory
        self._updates = updates
        self._settings = settings
        self._clock = clock
        self._watched_s: float | None = None
        self._sleep_s = settings.poll_s
        self._unwanted = ""
        self._windows = Windows(memory)
        self._told: dict[str, object] = {}
        # a deployment that is fetched when it has been closed counts as retrieved, and no longer as over
        self._one_at_a_time = asyncio.Lock()

    @property
    def wait_s(self) -> float:
        """Seconds until the server wants to be asked again."""
        return self._memory.wait_s

    def hurry(self) -> None:
        """Ask at once, whatever the server said: a person wants to know."""
        self._memory.forget_wait()

    async def order(self) -> Order | None:
        """Return what the server wants now, if it wants to be asked."""
        async with self._one_at_a_time:
            return None if self._memory.wait_s > 0 else await self._order()

    async def _order(self) -> Order | None:
        for _ in range(_ROUNDS):
            offer = await self._poll()
            if offer.cancellation is not None and await self._settle_cancellation(offer.cancellation):
                continue
            if offer.confirmation is not None and await self._settle_confirmation(offer.confirmation):
                continue
            return None if offer.deployment is None else await self._ordered(offer.deployment)
        return None

    async def cancelled(self, order_id: str) -> bool:
        """Return whether the server no longer wants this."""
        action = action_of(order_id)
        if not action:
            return False
        async with self._one_at_a_time:
            if self._unwanted != action and self._is_time_to_look():
                await self._look(action)
            return self._unwanted == action

    async def held(self, order_id: str) -> str:
        """Return why the server's maintenance window forbids to change anything now; "": it does not."""
        action = action_of(order_id)
        if not action or self._windows.is_unbound(action):
            return ""
        async with self._one_at_a_time:
            if self._is_time_to_look() or not self._windows.is_known(action):
                self._windows.hold(action, "hawkBit has not said whether its maintenance window is open")
                await self._look(action)
            return self._windows.reason(action)

    async def report(self, update: Update) -> None:
        """Tell the server, unless it knows as much already."""
        async with self._one_at_a_time:
            await self._report(update)

    async def _report(self, update: Update) -> None:
        action, stage = action_of(update.order.id), feedback.stage(update)
        if not action or self._told.get(action) == stage:
            return
        if update.state is State.CANCELLED:
            wanted = await self._accept(action, update.detail)
        else:
            if self._unwanted == action and update.state in _TOO_LATE:
                await self._answer(action, accepted=False, detail=update.state)
                self._unwanted = ""
            wanted = await self._client.tell("deploymentBase", action, feedback.feedback(action, update))
        if not wanted:
            _log.info("hawkBit has closed action %s; it was not told: %s", action, update.state)
        self._told[action] = stage

    async def _poll(self) -> Offer:
        offer = await self._client.offer()
        self._sleep_s = self._settings.poll_s if offer.sleep_s is None else offer.sleep_s
        self._memory.asked(self._sleep_s)
        await self._describe(asked=offer.wants_attributes)
        return offer

    async def _describe(self, *, asked: bool) -> None:
        try:
            told = await self._settings.attributes()
            attributes = {key: value[:_MAX_VALUE] for key, value in sorted(told.items())}
            digest = hashlib.sha256(repr(attributes).encode()).hexdigest()
            if attributes and (asked or digest != self._memory.attributes):
                await self._client.describe(attributes)
                self._memory.attributes = digest
        except UpdateError as error:
            _log.warning("hawkBit was not told what this gateway is: %s", error)

    async def _settle_cancellation(self, cancellation: Action) -> bool:
        """Accept it unless it stops what is under way, or was done: then the runner's report answers it."""
        stop = await self._client.stopped(cancellation)
        known = self._known(stop)
        if known is None:
            return await self._answer(stop, accepted=True, detail="it had not begun")
        self._unwanted = stop
        if known.state.final:
            self._told.pop(stop, None)
            await self._report(known)
        return known.state.final

    async def _settle_confirmation(self, action: Action) -> bool:
        objection = self._settings.objection()
        if not objection:
            return await self._client.tell("confirmationBase", action.id, feedback.consent())
        if self._memory.denied != action.id:
            await self._client.tell("confirmationBase", action.id, feedback.consent(reason=objection))
            self._memory.denied = action.id
        return False

    async def _ordered(self, action: Action) -> Order | None:
        present = next((one for one in self._updates() if not one.state.final), None)
        if present is not None:
            # another one is no failure of hawkBit's, which is left waiting
            return present.order if action_of(present.order.id) == action.id else None
        deployment = await self._client.deployment(action)
        if deployment is None:
            return None
        try:
            wanted = order(action, deployment, deadline_s=self._settings.deadline_s)
        except UpdateError as error:
            _log.warning("hawkBit action %s: %s", action.id, error)
            body = feedback.refused(action.id, error.code, str(error))
            await self._client.tell("deploymentBase", action.id, body)
            return None
        self._windows.note(action.id, deployment)
        done = next((one for one in self._updates() if one.order.id == wanted.id and one.state.final), None)
        if done is None:
            return wanted
        # it would not be offered again if our last word had arrived
        self._told.pop(action.id, None)
        await self._report(done)
        return None

    def _is_time_to_look(self) -> bool:
        now_s = self._clock.now_s()
        pause_s = min(max(self._sleep_s, LEAST_S), _WATCHED_S)
        if self._watched_s is not None and now_s - self._watched_s < pause_s:
            return False
        self._watched_s = now_s
        return True

    async def _look(self, action: str) -> None:
        """See what the server now says about an action that is under way."""
        offer = await self._poll()
        if offer.cancellation is not None and await self._client.stopped(offer.cancellation) == action:
            self._unwanted = action
            return
        if offer.confirmation is not None and offer.confirmation.id == action:
            self._windows.hold(action, "somebody at hawkBit wants it confirmed again")
            return
        if offer.deployment is not None and offer.deployment.id == action:
            await self._look_at(offer.deployment)
        elif not await self._client.tell("deploymentBase", action, feedback.alive(action)):
            self._unwanted = action

    async def _look_at(self, action: Action) -> None:
        if self._windows.is_unbound(action.id):
            return
        deployment = await self._client.deployment(action)
        if deployment is not None:
            self._windows.note(action.id, deployment)

    async def _accept(self, action: str, detail: str) -> bool:
        if await self._answer(action, accepted=True, detail=detail):
            return True
        # cancelled here, not there: for the server that is a failure
        body = feedback.refused(action, Code.CANCELLED, detail or "cancelled at the gateway")
        return await self._client.tell("deploymentBase", action, body)

    async def _answer(self, action: str, *, accepted: bool, detail: str) -> bool:
        body = feedback.cancellation(action, accepted=accepted, detail=detail)
        return await self._client.tell("cancelAction", action, body)

    def _known(self, action: str) -> Update | None:
        return next((one for one in self._updates() if action_of(one.order.id) == action), None)
