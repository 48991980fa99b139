"""The link's decisions without a network: pauses, pace, receipts, suspects, snapshot parts."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ports import MessageId
from gateway.errors import ConfigError
from gateway.link import snapshot
from gateway.link.backoff import Backoff
from gateway.link.config import Config
from gateway.link.pace import Pace
from gateway.link.suspects import Suspects
from gateway.link.window import UNHEARD_S, Window
from tests.fakes.broker import DevCa

# --- backoff ----------------------------------------------------------------------------------------


def test_pauses_double_up_to_the_cap():
    backoff = Backoff(first_s=1.0, cap_s=10.0)
    longest = []
    for _ in range(6):
        backoff.ended(0.0)
        longest.append(backoff.pause_s(1.0))

    assert longest == pytest.approx([1, 2, 4, 8, 10, 10])


def test_only_a_session_of_five_minutes_makes_pauses_short_again():
    backoff = Backoff()
    for _ in range(9):
        backoff.ended(299.0)
    long_s = backoff.pause_s(1.0)
    backoff.ended(300.0)

    assert long_s == pytest.approx(256)
    assert backoff.pause_s(1.0) == pytest.approx(1)


def test_a_broker_that_does_not_want_us_is_asked_at_the_slowest_pace():
    backoff = Backoff(cap_s=300.0)
    backoff.ended(0.0)
    backoff.refused()

    assert backoff.pause_s(0.5) == pytest.approx(150, rel=0.01)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_pause_is_never_zero_nor_beyond_the_cap(failures: int, chance: float):
    assert 0.05 <= Backoff(failures=failures).pause_s(chance) <= 300.0


# --- pace -------------------------------------------------------------------------------------------


@given(st.floats(1, 1000), st.lists(st.floats(0, 0.5), max_size=200))
def test_the_pace_holds_whatever_the_timing(per_s: float, gaps: list[float]):
    pace, now_s, sent = Pace(per_s, burst=5.0), 0.0, 0
    for gap_s in gaps:
        now_s += gap_s
        allowed = pace.allowance(now_s)
        pace.spend(allowed)
        sent += allowed

    assert sent <= 5 + now_s * per_s + 1


def test_after_the_wait_one_may_leave():
    pace = Pace(per_s=50.0, burst=1.0)
    pace.allowance(0.0)
    pace.spend(1)

    assert pace.allowance(0.0) == 0
    assert pace.allowance(pace.wait_s()) == 1


def test_a_pace_of_zero_sets_no_limit():
    assert Pace(0.0, 1.0).allowance(0.0) is None


# --- window -----------------------------------------------------------------------------------------


def ids(*seqs: int) -> list[MessageId]:
    return [MessageId(1, seq) for seq in seqs]


def test_what_nobody_heard_is_not_expected_to_be_confirmed():
    window = Window(limit=5, patience_s=10.0)
    published(window, 1, 2)
    published(window, 3, heard=False)

    assert (len(window), window.expected) == (3, 2)
    window.received(1, 2, ())

    assert (len(window), window.expected) == (1, 0)


def published(window: Window, *seqs: int, at_s: float = 0.0, heard: bool = True) -> None:
    for message in ids(*seqs):
        window.published(message, at_s, heard=heard)


def test_a_receipt_frees_room_by_watermark_and_by_ranges():
    window = Window(limit=5, patience_s=10.0)
    published(window, 1, 2, 3, 5, 6)
    full = window.room
    window.received(1, 2, [(5, 5)])

    assert (full, window.room, len(window)) == (0, 3, 2)


def test_a_receipt_of_another_epoch_frees_nothing():
    window = Window(limit=5, patience_s=10.0)
    published(window, 1)
    window.received(2, 100, [])

    assert len(window) == 1


def test_patience_doubles_until_the_cloud_confirms_something():
    window = Window(limit=5, patience_s=10.0)
    published(window, 1)
    late = window.overdue(10.1)
    window.start_over()
    published(window, 1, at_s=20.0)
    early = window.overdue(35.0)
    window.received(1, 1, [])
    published(window, 2, at_s=40.0)

    assert (late, early, window.overdue(50.1)) == (True, False, True)


def test_a_message_that_nobody_heard_is_overdue_soon_even_if_others_are_confirmed():
    window = Window(limit=5, patience_s=100.0)
    published(window, 1, heard=False)
    published(window, 2, at_s=1.0)
    window.received(1, 0, [(2, 2)])

    assert window.overdue(UNHEARD_S + 0.1)


def test_without_confirmations_there_is_no_window():
    window = Window(limit=0, patience_s=1.0)
    published(window, 1, 2, 3)

    assert window.room is None
    assert not window.overdue(1e9)


# --- suspects ---------------------------------------------------------------------------------------


def test_one_cut_makes_nobody_a_suspect():
    suspects = Suspects()
    suspects.ended(ids(1, 2, 3))

    assert not suspects.any


def test_a_message_alone_in_flight_at_five_ends_is_poison():
    suspects = Suspects()
    found = [suspects.ended(flight) for flight in (ids(1, 2), ids(1, 2), ids(1), ids(1), ids(1))]

    assert found == [None, None, None, None, MessageId(1, 1)]


@given(st.lists(st.sets(st.integers(1, 9), min_size=2), max_size=50))
def test_a_message_that_was_never_alone_is_never_poison(flights: list[set[int]]):
    suspects = Suspects()

    assert all(suspects.ended(ids(*flight)) is None for flight in flights)


def test_delivery_acquits():
    suspects = Suspects()
    suspects.ended(ids(1))
    suspects.ended(ids(1))
    suspected = suspects.any
    suspects.delivered(MessageId(1, 1))

    assert suspected
    assert not suspects.any


# --- snapshot ---------------------------------------------------------------------------------------


def test_a_small_site_is_one_part():
    assert snapshot.parts({"state": "normal"}) == [{"part": 1, "parts": 1, "state": "normal"}]


def test_a_large_site_is_split_and_nothing_is_missing():
    sensors = {f"sensor-{number}": {"wet": False, "name": "x" * 100} for number in range(2000)}
    alarms = [{"id": f"leak/zone/{number}"} for number in range(3000)]
    view = {"state": "alarm", "sensors": sensors, "alarms": alarms}
    bodies = snapshot.parts(view)
    merged_sensors: dict[str, object] = {}
    merged_alarms: list[object] = []
    for body in bodies:
        merged_sensors |= body.get("sensors", {})
        merged_alarms += body.get("alarms", [])

    assert len(bodies) > 1
    assert all(len(json.dumps(body)) < 128 * 1024 for body in bodies)
    assert [(body["part"], body["parts"]) for body in bodies] == [
        (number, len(bodies)) for number in range(1, len(bodies) + 1)
    ]
    assert (merged_sensors, merged_alarms) == (sensors, alarms)


# --- config -----------------------------------------------------------------------------------------


def test_all_that_is_out_of_range_is_named_at_once(tmp_path: Path):
    ca = DevCa(tmp_path, "house-7")
    with pytest.raises(ConfigError) as caught:
        Config(
            host=" ",
            port=0,
            in_flight=0,
            ca_file=ca.ca_file,
            cert_file=ca.ca_file,
            key_file=ca.ca_file,
            command_key_file=ca.ca_file,
        )

    assert {key for key, _ in caught.value.problems} == {"host", "port", "in_flight"}
