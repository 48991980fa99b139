"""What the store reports of its own accord, as messages for the cloud and as events for the core."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from gateway.domain.commands import Publish
from gateway.domain.events import AdapterFailed, AdapterRecovered
from gateway.domain.model import Channel, Json
from gateway.domain.ports import Emit
from gateway.link import wire
from gateway.store.report import ReportKind, StoreReport

SendWhenDurable: TypeAlias = Callable[[Publish, Callable[[], None]], None]
"""Queue a message; call back once it is on disk."""

DISK = "disk"
FILE = "store-file"


class DiskReports:
    """Turns store reports into a gap, a restart or trouble; keeps those that come before `begin`."""

    def __init__(self) -> None:
        self._early: list[StoreReport] = []
        self._publish: SendWhenDurable | None = None
        self._emit: Emit | None = None

    def begin(self, publish: SendWhenDurable, emit: Emit) -> None:
        """Pass on what was kept and what comes; trouble from before this start ends unless it is back."""
        self._publish, self._emit = publish, emit
        emit(AdapterRecovered(DISK))
        emit(AdapterRecovered(FILE))
        for report in self._early:
            self.take(report)
        self._early.clear()

    def take(self, report: StoreReport) -> None:
        """Handle one report."""
        if self._publish is None or self._emit is None:
            self._early.append(report)
            return
        match report.kind:
            case ReportKind.FAILING | ReportKind.STALLED:
                self._emit(AdapterFailed(DISK, report.detail))
            case ReportKind.RECOVERED:
                self._emit(AdapterRecovered(DISK))
            case _:
                kind, body = _message(report)
                self._publish(Publish(Channel.EVENT, kind, body), report.settle)
        if report.kind is ReportKind.QUARANTINED:
            self._emit(AdapterFailed(FILE, report.detail))


def _message(report: StoreReport) -> tuple[str, Mapping[str, Json]]:
    match report.kind:
        case ReportKind.RESTARTED:
            return "restarted", wire.restarted_body(report.epoch, report.through)
        case ReportKind.QUARANTINED:
            return "store-quarantined", {"detail": report.detail}
        case _:
            ranges = [(part.channel, part.epoch, part.first, part.last) for part in report.ranges]
            return "gap", wire.gap_body(report.kind.value, report.detail, ranges)
