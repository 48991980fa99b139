"""What the store reports is told to the cloud and to the core."""

from collections.abc import Callable

from gateway.app.disk_reports import DiskReports
from gateway.domain.commands import Publish
from gateway.domain.events import AdapterFailed, AdapterRecovered, Event
from gateway.domain.model import Channel
from gateway.store.report import ReportKind, SeqRange, StoreReport


class Ends:
    """Where reports go."""

    def __init__(self) -> None:
        self.sent: list[tuple[Publish, Callable[[], None]]] = []
        self.events: list[Event] = []
        self.reports = DiskReports()

    def begin(self) -> None:
        self.reports.begin(lambda publish, settle: self.sent.append((publish, settle)), self.events.append)


def test_reports_before_the_start_are_kept_for_it():
    ends = Ends()
    ends.reports.take(StoreReport(ReportKind.FAILING, "no space left"))

    ends.begin()

    assert ends.events == [
        AdapterRecovered("disk"),
        AdapterRecovered("store-file"),
        AdapterFailed("disk", "no space left"),
    ]


def test_evicted_messages_become_a_gap_that_is_settled_once_durable():
    ends = Ends()
    ends.begin()
    settled: list[bool] = []
    lost = SeqRange(Channel.TELE, 7, 3, 9)

    ends.reports.take(StoreReport(ReportKind.EVICTED, "cap", (lost,), 7, settle=lambda: settled.append(True)))

    publish, settle = ends.sent[0]
    assert (publish.channel, publish.kind) == (Channel.EVENT, "gap")
    assert publish.body["ranges"] == [{"channel": "tele", "epoch": 7, "first": 3, "last": 9}]
    settle()
    assert settled == [True]


def test_former_epoch_becomes_a_restarted_message():
    ends = Ends()
    ends.begin()

    ends.reports.take(StoreReport(ReportKind.RESTARTED, "", epoch=6, through=41))

    assert ends.sent[0][0] == Publish(Channel.EVENT, "restarted", {"epoch": 6, "through": 41})


def test_file_set_aside_is_told_and_trouble():
    ends = Ends()
    ends.begin()

    ends.reports.take(StoreReport(ReportKind.QUARANTINED, "kept as x.corrupt-1"))

    assert ends.sent[0][0].body == {"detail": "kept as x.corrupt-1"}
    assert ends.events[-1] == AdapterFailed("store-file", "kept as x.corrupt-1")


def test_stall_is_trouble_until_the_disk_recovers():
    ends = Ends()
    ends.begin()

    ends.reports.take(StoreReport(ReportKind.STALLED, "3 s"))
    ends.reports.take(StoreReport(ReportKind.RECOVERED, ""))

    assert ends.events[-2:] == [AdapterFailed("disk", "3 s"), AdapterRecovered("disk")]
