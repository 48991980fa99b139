"""What a runner is made of; the app puts it together for a real gateway, a test for a model of one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.domain.update.model import Kind, Window
from gateway.update.mailbox import Mailbox
from gateway.update.ports import Applier, Clock, Fetcher, Guard, Signer, Source
from gateway.update.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How often this and that is done, and how long it may take, seconds.

    Args:
        health_timeout_s: Of the health gate.
        health_every_s: Between two looks of it.
        reboot_s: A machine that is told to restart does so within this time.
        tick_s: The machine is told that time passes.
        look_s: Between two looks for cancellations and other orders while one is under way.
        renew_s: Between two leases for a download.
        disk_s: A disk that did not take a record, or an applier that does not answer, is tried again.
        save_s: The time that is left is saved this often, though nothing else changes.
        rest_s: A window that opens later than this lets the runner end; a timer starts it again.
        flush_s: Before a restart and at the end, people are told for so long at most.
        tell_s: Between two tries to tell somebody.
    """

    health_timeout_s: float = 300.0
    health_every_s: float = 5.0
    reboot_s: float = 600.0
    tick_s: float = 5.0
    look_s: float = 60.0
    renew_s: float = 30.0
    disk_s: float = 30.0
    save_s: float = 900.0
    rest_s: float = 1200.0
    flush_s: float = 20.0
    tell_s: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that a runner needs.

    Args:
        record: What survives.
        mailbox: What people here ask.
        sources: Who wants updates, by name, in the order in which they are asked.
        guard: The running daemon.
        applier: Does what needs root.
        fetcher: Downloads.
        signer: Our key, for the health gate.
        clock: The times.
        window: Of the configuration; what an order says comes first.
        kinds: That the configuration takes.
        timing: How often.
    """

    record: Record
    mailbox: Mailbox
    sources: Mapping[str, Source]
    guard: Guard
    applier: Applier
    fetcher: Fetcher
    signer: Signer
    clock: Clock
    window: Window | None = None
    kinds: frozenset[Kind] = frozenset(Kind)
    timing: Timing = field(default_factory=Timing)
