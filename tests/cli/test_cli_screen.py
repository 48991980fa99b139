import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gateway.cli.view.prompt import IDLE, Action, Prompt, Verb, press
from gateway.cli.view.screen import Frame, render
from tests.fakes.view import LEAK, example_view

NO_FRAME = Frame()


def drawn(
    view: dict[str, Any] | None, size: tuple[int, int], frame: Frame = NO_FRAME, *, no_color: bool = False
) -> str:
    console = Console(file=io.StringIO(), width=size[0], height=size[1], no_color=no_color)
    console.print(render(view, size, frame), height=size[1])
    return console.file.getvalue()


def big_view() -> dict[str, Any]:
    view = example_view()
    pump, zone, main = view["sensors"]["pump"], view["zones"]["plant-room"], view["valves"]["main"]
    for n in range(40):
        view["sensors"][f"s-{n}"] = pump | {"wet": False, "name": f"Sensor {n}"}
        view["zones"][f"z-{n}"] = zone | {"state": "dry", "wet": [], "name": f"Zone {n}"}
        view["valves"][f"v-{n}"] = main | {"state": "open", "name": f"Valve {n}"}
        view["alarms"].append(view["alarms"][1] | {"id": f"battery-low/sensor/s-{n}"})
    return view


def message(n: int) -> dict[str, Any]:
    return {
        "id": f"7/{n}",
        "channel": "event",
        "kind": "valve",
        "body": {"valve_id": "main", "state": "closing", "n": n},
        "at_unix_s": 1_760_000_000.0 + n,
        "mono_s": 1.0 + n,
    }


def test_a_terminal_of_80_by_24_shows_everything_that_matters():
    text = drawn(example_view(), (80, 24), Frame([message(1)], footer=" q quit"))

    expected = (
        "hq-01|ALARM|link up|outbox 2 event, 1 state, 40 tele|Plant room|wet: pump|Main|closed|"
        "auto, confirmed|Under the pump|WET|missing|unacknowledged, latched|TROUBLE|main closing|q quit"
    )
    for words in (LEAK, *expected.split("|")):
        assert words in text


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (50, 14), (20, 5), (10, 3), (1, 1), (300, 8)])
@pytest.mark.parametrize("view", [None, example_view(), big_view()])
def test_every_size_is_filled_and_never_overrun(size: tuple[int, int], view: dict[str, Any] | None):
    lines = drawn(view, size, Frame([message(n) for n in range(90)], " q quit")).splitlines()

    assert len(lines) <= size[1]
    assert all(len(line) <= size[0] for line in lines)


def test_the_most_urgent_rows_stay_when_there_is_no_room():
    text = drawn(big_view(), (80, 24))

    for words in ("Plant room", "Under the pump", "Cellar", LEAK):
        assert words in text
    assert text.count("more") == 4


@pytest.mark.parametrize(
    ("override", "note"),
    [
        ({"position": "open", "mode": "timed", "remaining_s": 3543.0}, "button, 59 min"),
        ({"position": "open", "mode": "hold", "remaining_s": None}, "button, hold"),
        ({"position": "open", "mode": "countdown", "remaining_s": 119.6}, "closes in 120 s"),
        (None, "leak, confirmed"),
    ],
)
def test_who_rules_a_valve_is_readable_at_80_columns(override: dict[str, Any] | None, note: str):
    view = example_view()
    view["valves"]["main"] |= {
        "name": "Kitchen valve",
        "state": "closed",
        "closure": "confirmed",
        "override": override,
    }

    assert note in drawn(view, (80, 24))


def test_a_zone_with_several_wet_sensors_counts_them():
    view = example_view()
    view["zones"]["plant-room"] |= {"wet": ["pump", "cellar"], "name": "Kitchen", "state": "confirming"}

    assert "2 of 2 wet" in drawn(view, (80, 24))


def test_a_moving_valve_shows_how_far_it_should_be():
    view = example_view()
    main = view["valves"]["main"]

    main |= {"state": "closing", "goal": "closed", "progress_percent": 20}
    early = drawn(view, (80, 24)).count("━")
    main["progress_percent"] = 90
    late = drawn(view, (80, 24)).count("━")

    assert 0 < early < late


def test_a_lost_gateway_is_said_and_the_last_view_stays():
    text = drawn(example_view(), (80, 24), Frame(problem="no answer"))

    assert "NOT CONNECTED: no answer" in text
    assert "Plant room" in text


def test_states_are_words_where_there_is_no_colour_and_no_unicode():
    text = drawn(example_view(), (80, 24), no_color=True)
    text.encode("utf-8")

    assert "\x1b" not in text
    assert "ALARM" in text
    assert "WET" in text


def test_a_terminal_without_unicode_gets_plain_frames():
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="ascii", errors="replace"), width=80, height=24)
    console.print(render(example_view(), (80, 24), NO_FRAME), height=24)
    console.file.flush()

    assert b"Plant room" in raw.getvalue()


def test_closing_a_valve_takes_a_choice_and_a_yes():
    view = example_view()

    choosing, nothing = press(IDLE, "c", view)
    confirming, still_nothing = press(choosing, "1", view)
    done, action = press(confirming, "y", view)

    assert (nothing, still_nothing) == (None, None)
    assert choosing.text() == " close which?  1 main   2 kitchen"
    assert confirming.text() == " close main? y = yes, any other key = no"
    assert (done, action) == (IDLE, Action(Verb.CLOSE, "main"))


def test_one_candidate_still_needs_a_yes():
    view = example_view()
    view["alarms"].pop()

    confirming, _ = press(IDLE, "a", view)

    assert confirming == Prompt(Verb.ACKNOWLEDGE, (LEAK,))
    assert press(confirming, "n", view) == (IDLE, "nothing done")
    assert press(confirming, "y", view) == (IDLE, Action(Verb.ACKNOWLEDGE, LEAK))


def test_nothing_to_acknowledge_is_said():
    view = example_view()
    view["alarms"] = []

    assert press(IDLE, "a", view) == (IDLE, "nothing to acknowledge")


@given(st.text("acyq0123456789n\x1b ", max_size=2))
def test_no_two_keys_ever_actuate_when_there_is_a_choice(keys: str):
    prompt, view = IDLE, example_view()

    for key in keys:
        prompt, outcome = press(prompt, key, view)
        assert not isinstance(outcome, Action)


@given(st.text(max_size=12))
def test_any_keys_leave_a_question_that_can_be_shown(keys: str):
    prompt, view = IDLE, example_view()

    for key in keys:
        prompt, outcome = press(prompt, key, view)
        assert prompt.text()
        assert not isinstance(outcome, Action) or outcome.target in (
            *view["valves"],
            *(a["id"] for a in view["alarms"]),
        )


@pytest.mark.parametrize(
    ("meter", "rule", "words"),
    [
        ({}, {}, "flows  12 l/min"),
        ({"state": "none", "l_per_min": 0.0}, {"state": "quiet"}, "still  4640 l today"),
        ({}, {"state": "warning", "closes_in_s": 95.2}, "flows  closes in 95 s"),
        ({"state": "none", "l_per_min": 0.0}, {"state": "alarm"}, "still  too much"),
        ({"state": "unknown", "l_per_min": None}, {}, "?      not heard"),
        ({"still_flowing": True}, {"state": "alarm"}, "flows  THROUGH A VALVE"),
    ],
)
def test_water_is_shown_beside_the_valves(meter: dict[str, Any], rule: dict[str, Any], words: str):
    view = example_view()
    view["meters"]["street"] |= meter
    view["flow_rules"]["night"] |= rule

    assert f"Street  {words}" in drawn(view, (80, 24))


def test_meter_that_needs_somebody_stays_when_there_is_no_room():
    view = big_view()
    view["meters"]["street"]["still_flowing"] = True

    assert "THROUGH A VALVE" in drawn(view, (80, 24))


def test_header_says_if_the_cloud_turns_us_away():
    view = example_view()
    view["link"] = {"state": "down", "since_s": 60.0, "detail": "x", "denied": "revoked"}

    assert "link DENIED 1 min" in drawn(view, (80, 24))


def test_header_says_if_nobody_is_there():
    assert "occupied" not in drawn(example_view(), (80, 24))
    assert "unoccupied" in drawn(example_view() | {"occupancy": "unoccupied"}, (80, 24))
