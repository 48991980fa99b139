"""What happened to the store, put into reports; counts them, and forgets what the cloud was told."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from gateway.store.committer import Committer
from gateway.store.epochs import Former
from gateway.store.notices import Notice
from gateway.store.report import ReportKind, StoreReport, count_of


class Reporter:
    """Holds reports back until `release`: nobody is ready for them while the store opens."""

    def __init__(self, on_report: Callable[[StoreReport], None], committer: Committer) -> None:
        self._on_report = on_report
        self._committer = committer
        self._held: list[StoreReport] | None = []
        self.counts = dict.fromkeys(ReportKind, 0)

    def release(self) -> None:
        """Deliver from now on."""
        held, self._held = self._held or [], None
        for report in held:
            asyncio.get_running_loop().call_soon(self._on_report, report)

    def state(self, kind: ReportKind, detail: str) -> None:
        """The disk began or ceased to work."""
        self.counts[kind] += 1
        self._tell(StoreReport(kind, detail))

    def former(self, epochs: Sequence[Former]) -> None:
        """Earlier epochs ended."""
        for epoch, through in epochs:
            detail = f"epoch {epoch} ended at or after seq {through}"
            settle = partial(self._settle_epoch, epoch)
            self._tell(StoreReport(ReportKind.RESTARTED, detail, epoch=epoch, through=through, settle=settle))

    def notices(self, notices: Sequence[Notice], *, is_new: bool = True) -> None:
        """Messages were lost or set aside, now or (`is_new` False) before this start."""
        for kind, detail, ranges, notice_id in ((n.kind, n.detail, n.ranges, n.id) for n in notices):
            count = count_of(ranges)
            if is_new:
                self.counts[kind] += count or 1
            settle = partial(self._settle_notice, notice_id)
            self._tell(StoreReport(kind, detail, ranges, count, settle=settle))

    def _tell(self, report: StoreReport) -> None:
        if self._held is None:
            self._on_report(report)
        else:
            self._held.append(report)

    def _settle_notice(self, notice_id: int) -> None:
        self._committer.pending.settled_notices.append(notice_id)
        self._committer.linger()

    def _settle_epoch(self, epoch: int) -> None:
        self._committer.pending.settled_epochs.append(epoch)
        self._committer.linger()
