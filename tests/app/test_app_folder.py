"""The identity folder with something in it that does not belong there: what works goes on working."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.app.clock import not_before_unix_s
from gateway.app.folder import Folder
from gateway.app.pairs import Role
from gateway.identity.slots import Slots


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    made = Slots(tmp_path / "identity")
    pair = made.prepare()
    pair.key_file.write_text("-----BEGIN PRIVATE KEY-----")
    pair.cert_file.write_text("any")
    made.promote(pair)
    return made


def roles(slots: Slots) -> list[Role]:
    return [one.candidate.role for one in Folder(slots).read(None).values()]


def test_a_slot_that_cannot_be_read_takes_nothing_from_the_one_in_use(slots: Slots):
    current = slots.current()
    assert current is not None
    other = slots.folder / ("b" if current.slot == "a" else "a")
    other.symlink_to(other.name)  # a loop
    assert roles(slots) == [Role.CURRENT]


def test_a_note_that_cannot_be_read_takes_nothing_from_the_pair_in_use(slots: Slots):
    (slots.folder / "trial").mkdir()
    assert roles(slots) == [Role.CURRENT]


def test_a_slot_in_use_that_cannot_be_read_leaves_the_former_one(slots: Slots):
    former = slots.current()
    fresh = slots.prepare()
    fresh.key_file.write_text("-----BEGIN PRIVATE KEY-----")
    fresh.cert_file.write_text("any")
    slots.promote(fresh)
    fresh.cert_file.write_bytes(b"")

    found = Folder(slots).read(None)

    assert [(one.candidate.role, one.pair) for one in found.values()] == [(Role.FORMER, former)]


def test_a_certificate_without_end_is_read_no_further_than_one_can_be_long(slots: Slots):
    pair = slots.current()
    assert pair is not None
    pair.cert_file.unlink()
    pair.cert_file.symlink_to("/dev/zero")
    assert _in_time(lambda: not_before_unix_s(pair.cert_file)) == [0.0]


def test_a_pipe_in_place_of_a_certificate_is_not_waited_for(slots: Slots):
    pair = slots.current()
    assert pair is not None
    pair.cert_file.unlink()
    os.mkfifo(pair.cert_file)
    assert _in_time(lambda: not_before_unix_s(pair.cert_file)) == [0.0]
    assert _in_time(lambda: len(Folder(slots).read(None))) == [0]


def _in_time(work: Callable[[], float]) -> list[float]:
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(5.0)
    return found
