"""The requests of a device to hawkBit, one method for each."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import quote

import msgspec

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.hawkbit import wire
from gateway.update.ports import Web, WebAnswer, WebRequest

_TIMEOUT_S: Final = 30.0
_MAX_BYTES: Final = 512 * 1024
_ACCEPT: Final = {"accept": "application/hal+json, application/json"}
_SENT: Final = {**_ACCEPT, "content-type": "application/json"}
_GONE: Final = (404, 405, 410)
"""The action is not ours, not in a state for this, or closed: saying it again changes nothing."""
_MEANING: Final = {
    401: "does not let us in; does the proxy in front of it set X-Controller-Id and X-Authority?",
    403: "does not let us in; does the proxy in front of it know our certificate's authority?",
    404: "knows no such address; are hawkbit_url and hawkbit_tenant right?",
    429: "has too much to do",
}


class Client:
    """One device at one hawkBit. Every method raises UpdateError when it cannot be asked now.

    Args:
        web: The server, asked with the gateway's certificate: a proxy in front of hawkBit takes our id
            from it.
        tenant: At the server.
        gateway_id: Ours; hawkBit's "controller id".
    """

    def __init__(self, web: Web, tenant: str, gateway_id: str) -> None:
        self._web = web
        self._root = f"/{quote(tenant, safe='')}/controller/v1/{quote(gateway_id, safe='')}"

    async def offer(self) -> wire.Offer:
        """Return what the server has for us."""
        return wire.offer(_whole(await self._ask(WebRequest(self._root, headers=_ACCEPT))))

    async def deployment(self, action: wire.Action) -> wire.Deployment | None:
        """Return what a deployment holds; None: there is none, no more or not yet."""
        query = f"?c={action.edition}" if action.edition else ""
        path = f"{self._root}/deploymentBase/{action.id}{query}"
        answer = await self._ask(WebRequest(path, headers=_ACCEPT))
        return None if answer.status in _GONE else wire.deployment(_whole(answer), action)

    async def stopped(self, cancellation: wire.Action) -> str:
        """Return the id of the action that a cancellation stops; "" if it is no longer cancelled."""
        path = f"{self._root}/cancelAction/{cancellation.id}"
        answer = await self._ask(WebRequest(path, headers=_ACCEPT))
        return "" if answer.status in _GONE else wire.stopped(_whole(answer))

    async def tell(self, resource: str, action: str, body: bytes) -> bool:
        """Give feedback about an action to one of its resources; return whether the server wanted it."""
        path = f"{self._root}/{resource}/{action}/feedback"
        answer = await self._ask(WebRequest(path, "POST", body, _SENT))
        if answer.status in _GONE:
            return False
        _whole(answer)
        return True

    async def describe(self, attributes: Mapping[str, str]) -> None:
        """Tell what we are."""
        body = msgspec.json.encode({"mode": "merge", "data": dict(attributes)})
        _whole(await self._ask(WebRequest(f"{self._root}/configData", "PUT", body, _SENT)))

    async def _ask(self, request: WebRequest) -> WebAnswer:
        ask = partial(self._web.ask, request, timeout_s=_TIMEOUT_S, max_bytes=_MAX_BYTES)
        return await asyncio.to_thread(ask)


def _whole(answer: WebAnswer) -> bytes:
    if answer.status // 100 == 2:  # noqa: PLR2004  # HTTP: success
        return answer.body
    meaning = _MEANING.get(answer.status, f"answers with status {answer.status}")
    raise UpdateError(Code.UNREACHABLE, f"hawkBit {meaning}; trying again later", passing=True)
