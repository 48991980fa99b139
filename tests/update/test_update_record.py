import os
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.domain.update.model import Code, Kind, Order, State, Step, Update, Window
from gateway.errors import StoreError
from gateway.update import keep
from gateway.update.mailbox import LocalSource, Mailbox, Pause
from gateway.update.record import DONE, KEPT, RECORD, Ended, Record, Saved

UPDATE = Update(
    Order("u1", Kind.OS, "os/2", "2", "hawkbit", "operator", Window(1320, 240), 1000.0, downgrade=True),
    State.WAITING,
    next=Step.REBOOT,
    code=Code.NOT_STARTED,
    detail="the former version came up instead",
    attempts={"returned": 1},
    left_s=12.5,
)
ENDED = replace(UPDATE, state=State.SUCCEEDED)


def ended(number: int) -> Update:
    return replace(ENDED, order=replace(ENDED.order, id=f"u{number}"))


def test_what_was_saved_is_read_back_by_another_process(folder: Path):
    Record(folder).save(Saved(UPDATE, "boot-1", {"sensors": {"sump": "speaks"}}))
    found = Record(folder).load()
    assert found == Saved(UPDATE, "boot-1", {"sensors": {"sump": "speaks"}})
    assert isinstance(found.update.order.kind, Kind)


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"[1]", b'{"update": 3}', b"[" * 5000])
def test_a_damaged_file_is_put_aside_and_named_once(folder: Path, damage: bytes):
    (folder / RECORD).write_bytes(damage)
    record = Record(folder)
    assert record.load() is None
    assert record.load() is None
    assert len(record.troubles) == (1 if damage else 0)
    assert (folder / f"{RECORD}.bad").exists() is bool(damage)


def test_every_prefix_of_a_record_is_noticed(folder: Path):
    record = Record(folder)
    record.save(Saved(UPDATE, "boot-1"))
    whole = (folder / RECORD).read_bytes()
    for length in range(1, len(whole)):
        (folder / RECORD).write_bytes(whole[:length])
        assert record.load() is None


def test_a_disk_that_does_not_take_it_leaves_what_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch):
    record = Record(folder)
    record.save(Saved(UPDATE, "boot-1"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"record\.json: cannot be written: No space left"):
        record.save(Saved(ENDED, "boot-2"))
    monkeypatch.undo()
    assert record.load() == Saved(UPDATE, "boot-1")
    assert sorted(path.name for path in folder.iterdir()) == [RECORD]


def test_an_end_is_kept_until_everybody_knows(folder: Path):
    record = Record(folder)
    record.end(ENDED)
    record.end(ENDED)
    record.told("u1", "guard")
    record.told("u1", "guard")
    assert [(one.update.order.id, one.told) for one in Record(folder).done()] == [("u1", ("guard",))]


def test_only_the_last_ones_are_kept_but_none_that_nobody_heard_of(folder: Path):
    record = Record(folder)
    for number in range(KEPT + 10):
        record.end(ended(number))
        if number != 3:
            record.told(f"u{number}", "guard")
    ids = [one.update.order.id for one in record.done()]
    assert "u3" in ids
    assert "u2" not in ids
    assert len(ids) == KEPT + 1


def test_a_damaged_list_does_not_stop_the_present_update(folder: Path):
    record = Record(folder)
    record.save(Saved(UPDATE, "boot-1"))
    (folder / DONE).write_bytes(b"[{]")
    assert record.done() == []
    assert record.load() is not None


def test_one_runner_at_a_time_and_the_lock_goes_with_its_process(folder: Path):
    with Record(folder).only_one() as first, Record(folder).only_one() as second:
        assert (first, second) == (True, False)
    with Record(folder).only_one() as third:
        assert third


async def test_an_order_stays_in_the_mailbox_until_the_runner_has_it(folder: Path):
    mailbox = Mailbox(folder)
    order = replace(UPDATE.order, source="local")
    mailbox.ask(order)
    source = LocalSource(Mailbox(folder))
    assert await source.order() == order
    await source.report(replace(UPDATE, order=order))
    assert await source.order() is None


def test_what_is_asked_of_another_update_is_not_asked_of_this(folder: Path):
    mailbox = Mailbox(folder)
    mailbox.cancel("u9")
    assert not mailbox.take_named("cancel", "u1")
    mailbox.cancel("u1")
    assert mailbox.take_named("cancel", "u1")
    assert not mailbox.take_named("cancel", "u1")


@pytest.mark.parametrize(
    ("pause", "boot", "now_s", "unix_s", "left_s"),
    [
        (Pause(2000.0, "a", 100.0), "a", 40.0, None, 60.0),
        (Pause(2000.0, "a", 100.0), "b", 40.0, 1900.0, 100.0),
        (Pause(2000.0, "a", 100.0), "b", 40.0, 2100.0, 0.0),
        (Pause(2000.0, "a", 100.0), "b", 40.0, None, float("inf")),
        (Pause(), "a", 1e9, 1e9, float("inf")),
    ],
)
def test_a_pause_ends_by_the_clock_that_can_be_believed(
    pause: Pause, boot: str, now_s: float, unix_s: float | None, left_s: float
):
    assert pause.left_s(now_s, boot, unix_s) == left_s


def test_a_pause_that_cannot_be_read_holds(folder: Path):
    mailbox = Mailbox(folder)
    assert mailbox.paused() is None
    mailbox.pause(Pause())
    (folder / "paused.json").write_bytes(b"?")
    assert mailbox.paused() == Pause()
    mailbox.pause(None)
    assert mailbox.paused() is None


def test_a_link_in_place_of_a_draft_is_not_followed(folder: Path):
    elsewhere = folder / "elsewhere"
    elsewhere.write_text("untouched")
    (folder / f".{RECORD}.new").symlink_to(elsewhere)
    keep.write(folder / RECORD, b"new")
    assert elsewhere.read_text() == "untouched"


def test_however_many_nobody_has_heard_of_none_is_forgotten(folder: Path):
    record = Record(folder)
    record._write(DONE, [Ended(ended(number)) for number in range(4_000)])
    assert (folder / DONE).stat().st_size > 1 << 20
    record.end(ended(4_000))
    assert record.find("u0") is not None
    assert record.find("u4000") is not None
    assert record.troubles == []
