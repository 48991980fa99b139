"""What the applier is made of: who answers for a target, and what a kind of update can do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from gateway.domain.model import Json
from gateway.update.trust.target import Device, Target

OnPercent: TypeAlias = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One installation, as it was asked for.

    Args:
        target: Path of the target in the signed metadata.
        version: That it must have.
        downgrade: An older version is meant.
        order_id: Of the update, for the log.
        actor: Who wants it, for the log.
    """

    kind: str
    target: str
    version: str
    downgrade: bool = False
    order_id: str = ""
    actor: str = ""


class Trust(Protocol):
    """The signed metadata, judged by root's own memory of them. Raises UpdateError, StoreError."""

    def target(self, path: str, kind: str = "", version: str = "") -> Target:
        """Take in the newest metadata that lie in the spool; return what they say of a target."""

    def verify(self, file: Path, target: Target) -> None:
        """Return if this is the target to the last bit."""


class Kind(Protocol):
    """One kind of update. Raises UpdateError; then, for `install`, the former version is what runs."""

    def why_not(self) -> str:
        """Return why this machine cannot take it, or "" if it can."""

    def version(self) -> str:
        """Return what runs."""

    def former(self) -> tuple[str, Path] | None:
        """Return version and file of what ran before the last update, if this machine has kept it."""

    def install(
        self, wanted: Wanted, target: Target, file: Path, on_percent: OnPercent
    ) -> Mapping[str, Json]:
        """Install a file that was verified and lies where only root writes."""

    def device(self) -> Device:
        """Return for whom a target of this kind has to be."""

    def commit(self) -> Mapping[str, Json]:
        """What runs is good and stays."""

    def restore(self, why: str) -> Mapping[str, Json]:
        """Bring the former version back."""

    def state(self) -> Mapping[str, Json]:
        """Return what the runner has to know of it after a restart."""
