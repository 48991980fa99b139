"""Answers of hawkBit, taken apart: nothing in them is believed to be as it should be.

Of a link only the kind and number are taken: we ask the server that we were configured for, whatever address
an answer names. What cannot be understood raises UpdateError, worth trying again.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import msgspec

from gateway.domain.update.model import Code
from gateway.errors import UpdateError

_LINK = re.compile(r"/(deploymentBase|cancelAction|confirmationBase)/([0-9]{1,19})(?:\?c=(-?[0-9]{1,11}))?")
_SLEEP = re.compile(r"([0-9]{1,4}):([0-5]?[0-9]):([0-5]?[0-9])")

_Text = Annotated[str, msgspec.Meta(max_length=4096)]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Action:
    """One of the server's actions; `edition` changes when its content does."""

    id: str
    edition: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the server has for us.

    Args:
        sleep_s: It wants to be asked again after this time; None: it does not say.
        deployment: To be carried out.
        cancellation: To be stopped.
        confirmation: Waits for our consent.
        wants_attributes: It asks what we are.
    """

    sleep_s: float | None = None
    deployment: Action | None = None
    cancellation: Action | None = None
    confirmation: Action | None = None
    wants_attributes: bool = False


class Metadata(msgspec.Struct, frozen=True):
    """A pair that the operator attached to a software module, visible to targets."""

    key: _Text
    value: _Text


class Artifact(msgspec.Struct, frozen=True):
    """A file of a software module. We take its name only: hashes and content come from signed metadata."""

    filename: _Text


class Chunk(msgspec.Struct, frozen=True):
    """A software module."""

    part: _Text = ""
    version: _Text = ""
    name: _Text = ""
    artifacts: Annotated[list[Artifact], msgspec.Meta(max_length=100)] | None = None
    metadata: Annotated[list[Metadata], msgspec.Meta(max_length=100)] | None = None


class Deployment(msgspec.Struct, frozen=True, rename="camel"):
    """What a deployment holds, and how it is to be handled."""

    chunks: Annotated[list[Chunk], msgspec.Meta(max_length=100)]
    download: Literal["skip", "attempt", "forced"] = "attempt"
    update: Literal["skip", "attempt", "forced"] = "attempt"
    maintenance_window: Literal["available", "unavailable"] | None = None


class _Polling(msgspec.Struct, frozen=True):
    sleep: _Text | None = None


class _Config(msgspec.Struct, frozen=True):
    polling: _Polling | None = None


class _Link(msgspec.Struct, frozen=True):
    href: _Text


class _Links(msgspec.Struct, frozen=True, rename="camel"):
    deployment_base: _Link | None = None
    cancel_action: _Link | None = None
    confirmation_base: _Link | None = None
    config_data: _Link | None = None


class _Base(msgspec.Struct, frozen=True):
    config: _Config | None = None
    links: _Links | None = msgspec.field(default=None, name="_links")


class _DeploymentBase(msgspec.Struct, frozen=True):
    id: _Text
    deployment: Deployment


class _ActionToStop(msgspec.Struct, frozen=True, rename="camel"):
    stop_id: _Text


class _Cancel(msgspec.Struct, frozen=True, rename="camel"):
    cancel_action: _ActionToStop


def offer(body: bytes) -> Offer:
    """Return what the server has for us."""
    base = _parsed(body, _Base)
    links = base.links or _Links()
    polling = base.config.polling if base.config else None
    return Offer(
        _seconds(polling.sleep if polling else None),
        _action(links.deployment_base, "deploymentBase"),
        _action(links.cancel_action, "cancelAction"),
        _action(links.confirmation_base, "confirmationBase"),
        links.config_data is not None,
    )


def deployment(body: bytes, action: Action) -> Deployment:
    """Return what a deployment holds."""
    told = _parsed(body, _DeploymentBase)
    if told.id != action.id:
        raise _unusable(f"speaks of action {told.id[:20]!a} instead of {action.id}")
    return told.deployment


def stopped(body: bytes) -> str:
    """Return the id of the action that a cancellation stops."""
    return _parsed(body, _Cancel).cancel_action.stop_id


def _parsed(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unusable(f"cannot be understood ({str(error)[:160]!a})") from None


def _action(link: _Link | None, kind: str) -> Action | None:
    if link is None:
        return None
    found = _LINK.search(link.href)
    if found is None or found[1] != kind:
        raise _unusable(f"links to no {kind}")
    return Action(found[2], found[3] or "")


def _seconds(text: str | None) -> float | None:
    found = _SLEEP.fullmatch(text or "")
    if found is None:
        return None
    hours, minutes, seconds = map(int, found.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def _unusable(what: str) -> UpdateError:
    return UpdateError(Code.UNREACHABLE, f"hawkBit: its answer {what}; is this its address?", passing=True)
