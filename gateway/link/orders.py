"""The bodies of the commands `update` and `update/cancel` (docs/protocol.md, Updates)."""

from typing import Annotated, Final

import msgspec

from gateway.domain.model import Request
from gateway.domain.update.asked import UpdateOrdered, UpdateWithdrawn
from gateway.domain.update.order import Order, Window
from gateway.domain.update.words import Kind

DEADLINE_MIN_S: Final = 60.0
DEADLINE_MAX_S: Final = 60 * 86_400.0

_Minute = Annotated[int, msgspec.Meta(ge=0, le=1440)]
_UpdateId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}\Z")]
_Version = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:+~-]{1,64}\Z")]
_Target = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9_+][A-Za-z0-9._+~/-]{0,199})?\Z")]


class _Window(msgspec.Struct, frozen=True):
    from_min: _Minute
    until_min: _Minute


class UpdateBody(msgspec.Struct, frozen=True):
    """Body of `update`: what is wanted. Which targets there are, their signed metadata say."""

    update_id: _UpdateId
    kind: Kind
    target: _Target
    version: _Version
    window: _Window | None = None
    deadline_s: Annotated[float, msgspec.Meta(ge=DEADLINE_MIN_S, le=DEADLINE_MAX_S)] | None = None
    downgrade: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for what no update can be; msgspec makes its own error of it."""
        parts = self.target.split("/") if self.target else []
        if ".." in self.target or not all(part.strip(".") for part in parts):
            raise ValueError("target must be a plain path below the folder of targets")
        if self.downgrade and self.kind is Kind.OS:
            raise ValueError("a system is never taken back to an older version; publish it under a newer one")
        if not self.target and not self.downgrade:
            raise ValueError("target may be empty (the version before) for a downgrade only")

    def asked(self, request: Request) -> UpdateOrdered:
        """Return it as the app takes it; `deadline_s` is 0 if the configuration decides."""
        window = None if self.window is None else Window(self.window.from_min, self.window.until_min)
        order = Order(
            id=self.update_id,
            kind=self.kind,
            target=self.target,
            version=self.version,
            source="cloud",
            actor=request.actor.name,
            window=window,
            deadline_s=self.deadline_s or 0.0,
            downgrade=self.downgrade,
        )
        return UpdateOrdered(order, request)


class CancelBody(msgspec.Struct, frozen=True):
    """Body of `update/cancel`."""

    update_id: _UpdateId

    def asked(self, request: Request) -> UpdateWithdrawn:
        """Return it as the app takes it."""
        return UpdateWithdrawn(self.update_id, request)
