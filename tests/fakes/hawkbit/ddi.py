"""hawkBit's Direct Device Integration API over a repository: one request in, one answer out."""

import json
import re
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from tests.fakes.hawkbit.actions import Action, Status
from tests.fakes.hawkbit.repository import Repository

Answer: TypeAlias = tuple[int, dict[str, object] | None]

_ROOT = re.compile(r"/(?P<tenant>[^/]+)/controller/v1/(?P<id>[^/]+)(?P<rest>/.*)?")
_ACTION = re.compile(r"/(deploymentBase|cancelAction|confirmationBase|installedBase)/([0-9]+)(/feedback)?")
_EXECUTIONS = [
    "closed",
    "proceeding",
    "canceled",
    "scheduled",
    "rejected",
    "resumed",
    "downloaded",
    "download",
]


class Ddi:
    """One server.

    Args:
        repository: Behind it.
        base_url: That links begin with.
        tenant: That it knows.
    """

    def __init__(self, repository: Repository, base_url: str, tenant: str = "DEFAULT") -> None:
        self._repository = repository
        self._base_url = base_url
        self._tenant = tenant

    def answer(self, method: str, url: str, body: bytes, controller_id: str) -> Answer:
        """Answer a request of the device that the proxy names."""
        found = _ROOT.fullmatch(urlsplit(url).path)
        if found is None or found["tenant"] != self._tenant:
            return 404, None
        if found["id"] != controller_id:
            return 401, None
        rest = found["rest"] or ""
        with self._repository.lock:
            if not rest:
                return (200, self._base(controller_id)) if method == "GET" else (405, None)
            if rest == "/configData":
                return self._attributes(controller_id, json.loads(body)) if method == "PUT" else (405, None)
            parts = _ACTION.fullmatch(rest)
            action = self._repository.of(controller_id, int(parts[2])) if parts else None
            if parts is None or action is None:
                return 404, None
            if parts[3]:
                return self._feedback(parts[1], action, json.loads(body))
            return self._show(parts[1], action)

    def _base(self, controller_id: str) -> dict[str, object]:
        target = self._repository.target(controller_id)
        target.polls += 1
        links = {}
        action = self._repository.current(controller_id)
        if action is not None:
            kind, query = "deploymentBase", "?c=-2129030598"
            if action.is_waiting:
                kind = "confirmationBase"
            elif action.is_cancelling:
                kind, query = "cancelAction", ""
            links[kind] = self._link(controller_id, f"/{kind}/{action.id}{query}")
        if target.wants_attributes:
            links["configData"] = self._link(controller_id, "/configData")
        base: dict[str, object] = {"config": {"polling": {"sleep": self._repository.sleep}}}
        return {**base, "_links": links} if links else base

    def _link(self, controller_id: str, rest: str) -> dict[str, str]:
        return {"href": f"{self._base_url}/{self._tenant}/controller/v1/{controller_id}{rest}"}

    def _attributes(self, controller_id: str, told: dict[str, Any]) -> Answer:
        assert told.get("mode", "merge") in ("merge", "replace", "remove")
        data = told["data"]
        if not data or any(len(key) > 128 or len(value) > 128 for key, value in data.items()):
            return 400, None
        target = self._repository.target(controller_id)
        target.attributes |= data
        target.wants_attributes = False
        return 200, None

    def _show(self, kind: str, action: Action) -> Answer:
        match kind:
            case "cancelAction" if action.is_cancelling:
                return 200, {"id": str(action.id), "cancelAction": {"stopId": str(action.id)}}
            case "confirmationBase" if action.is_waiting:
                return 200, {"id": str(action.id), "confirmation": action.deployment()}
            case "deploymentBase" if not action.is_cancelling and not action.is_waiting:
                if Status.RETRIEVED not in action.statuses()[-1:]:
                    action.note(Status.RETRIEVED)
                    action.status = Status.RETRIEVED  # of a closed one, too, as hawkBit does
                return 200, {"id": str(action.id), "deployment": action.deployment()}
        return 404, None

    def _feedback(self, kind: str, action: Action, told: dict[str, Any]) -> Answer:
        if kind == "confirmationBase":
            return action.confirmed(told["confirmation"], told.get("code"), told.get("details") or []), None
        status = told["status"]
        execution, finished = status["execution"], status["result"]["finished"]
        if execution not in _EXECUTIONS or finished not in ("success", "failure", "none"):
            return 400, None
        rest = (execution, finished, status.get("code"), status.get("details") or [])
        if kind == "cancelAction":
            return (200 if action.cancel_answered(*rest) else 405), None
        if action.is_waiting:
            return 404, None
        taken = action.updated(*rest)
        progress = status["result"].get("progress")
        if taken and progress:
            action.history[-1].percent = progress["cnt"]
        self._repository.closed(action)
        return (200 if taken else 410), None
