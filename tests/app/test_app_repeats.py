"""How often the same line is written, with a clock of the test's own."""

import logging
from collections.abc import Iterable

from gateway.app.repeats import BURST, WINDOW_S, Repeats


def line(text: str, *args: object, name: str = "gateway", subject: str | None = None) -> logging.LogRecord:
    record = logging.LogRecord(name, logging.WARNING, "x.py", 1, text, args, None)
    if subject is not None:
        record.subject = subject
    return record


def texts(records: Iterable[logging.LogRecord]) -> list[str]:
    return [record.getMessage() for record in records]


def test_the_same_line_is_written_a_few_times_and_then_counted():
    repeats = Repeats()
    written = [text for _ in range(300) for text in texts(repeats.take(line("%s failed", "hci0"), 0.0))]

    assert written == ["hci0 failed"] * BURST
    [summary, other] = texts(repeats.take(line("ready"), WINDOW_S))
    assert summary == f"{300 - BURST} more like this within 60 s; the last: hci0 failed"
    assert other == "ready"


def test_another_thing_with_the_same_trouble_is_still_heard():
    repeats = Repeats()
    for _ in range(300):
        repeats.take(line("%s failed: %s", "sensor/a", "no frame"), 0.0)

    assert texts(repeats.take(line("%s failed: %s", "sensor/b", "no frame"), 0.0)) == [
        "sensor/b failed: no frame"
    ]


def test_numbers_do_not_make_a_line_another():
    repeats = Repeats()
    written = [out for late_s in range(100) for out in repeats.take(line("%.1f s late", late_s / 7), 0.0)]

    assert len(written) == BURST


def test_lines_of_the_building_are_told_apart_by_what_they_are_about():
    repeats = Repeats()
    for _ in range(300):
        repeats.take(line("%s", "flap", subject="leak/zone/a"), 0.0)

    assert len(repeats.take(line("%s", "flap", subject="leak/zone/b"), 0.0)) == 1


def test_a_new_window_begins_anew():
    repeats = Repeats()
    for _ in range(BURST):
        repeats.take(line("again"), 0.0)

    assert texts(repeats.take(line("again"), WINDOW_S - 1)) == []
    assert len(texts(repeats.take(line("again"), WINDOW_S))) == 2
    assert texts(repeats.take(line("again"), WINDOW_S + 1)) == ["again"]


def test_the_end_tells_what_was_left_out():
    repeats = Repeats()
    for _ in range(BURST + 2):
        repeats.take(line("again"), 0.0)

    assert texts(repeats.rest()) == ["2 more like this within 60 s; the last: again"]
    assert repeats.rest() == []


def test_any_number_of_kinds_takes_bounded_memory():
    repeats = Repeats()
    for number in range(10_000):
        assert len(repeats.take(line(f"kind {number}"), 0.0)) == 1

    assert len(repeats._windows) <= 256
