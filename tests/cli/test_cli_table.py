import argparse

import pytest

from gateway.cli.table import alarm_state, duration, override, seconds, table, valve_state


def test_columns_are_as_wide_as_their_widest_word():
    assert table(["A", "B"], [["xxx", "y"], ["z", ""]]) == "A    B\nxxx  y\nz"


@pytest.mark.parametrize(
    ("length_s", "words"),
    [(None, "-"), (0.0, "0.0 s"), (9.94, "9.9 s"), (59.6, "1 min"), (3601, "1 h 1 s"), (90_061, "1 d 1 h")],
)
def test_a_length_of_time_reads_in_its_biggest_units(length_s: float | None, words: str):
    assert duration(length_s) == words


@pytest.mark.parametrize(
    ("text", "length_s"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2 H", 7200), ("1d", 86_400)]
)
def test_people_may_write_a_length_of_time_in_its_unit(text: str, length_s: float):
    assert seconds(text) == length_s


@pytest.mark.parametrize("text", ["", "soon", "-1", "3 weeks", "1e9", "nan"])
def test_what_is_no_length_of_time_is_told_how_to_write_one(text: str):
    with pytest.raises(argparse.ArgumentTypeError, match="write 90s, 15m, 2h or 1d"):
        seconds(text)


def test_no_length_of_time_is_longer_than_the_gateway_takes():
    assert seconds("366d") == 366 * 86_400
    with pytest.raises(argparse.ArgumentTypeError, match="at most 366d"):
        seconds("9" * 400)


def test_a_closed_valve_says_how_that_is_known():
    assert valve_state({"state": "closed", "closure": "assumed"}) == "closed (assumed)"
    assert valve_state({"state": "out_of_service", "closure": None}) == "out of service"


def test_an_override_says_how_long_it_lasts():
    held = {"override": {"position": "open", "mode": "hold", "remaining_s": None}}
    counting = {"override": {"position": "open", "mode": "countdown", "remaining_s": 95.0}}

    assert override(held) == "hold open"
    assert override(counting) == "countdown open, 1 min 35 s left"
    assert override({"override": None}) == ""


def test_a_shelved_alarm_says_until_when():
    alarm = {"state": "returned_unacknowledged", "latched": True, "shelved_for_s": 600.0}

    assert alarm_state(alarm) == "returned, unacknowledged, latched, shelved for 10 min"
