"""What reaches the journal, read by a small journald over a real socket."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.app import journald, message_ids, narrate
from gateway.app.journald import Journald, is_stderr
from gateway.app.log import Journal as JournalHandler
from gateway.app.log import Sparing
from gateway.control.daemon import Message
from gateway.domain.model import Channel, Json
from tests.fakes.journal import Journal, journal


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Journal]:
    with journal(tmp_path) as found:
        yield found


@pytest.fixture
def log(listening: Journal) -> Iterator[logging.Logger]:
    """The gateway's own logger, which leads to the small journal."""
    logger = logging.getLogger("gateway")
    handler = Sparing(JournalHandler(Journald(listening.address)))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield logger
    logger.removeHandler(handler)
    logger.setLevel(level)
    handler.close()


def alarm(**changes: Json) -> Message:
    body: dict[str, Json] = {
        "alarm_id": "leak/zone/cellar",
        "class": "alarm",
        "kind": "leak",
        "subject": "zone/cellar",
        "state": "unacknowledged",
        "active": True,
        "latched": True,
        "detail": "wet: floor",
        "actor": "system:gateway",
    }
    return Message("7/1", Channel.ALARM, "alarm", body | changes, None, 1.0)


def event(kind: str, **body: Json) -> Message:
    return Message("7/2", Channel.EVENT, kind, body, None, 1.0)


def test_a_leak_is_a_line_that_can_be_found_by_what_it_is_about(log: logging.Logger, listening: Journal):
    narrate.narrate(alarm())

    [line] = listening.lines()
    assert line["MESSAGE"] == "alarm leak/zone/cellar: wet: floor"
    assert line["PRIORITY"] == "2"
    assert line["MESSAGE_ID"] == message_ids.ALARMS["leak"]
    assert line["REED_ALARM"] == "leak/zone/cellar"
    assert line["REED_ZONE"] == "cellar"
    assert line["REED_CLASS"] == "alarm"
    assert line["REED_MESSAGE"] == "7/1"
    assert line["SYSLOG_IDENTIFIER"] == "reed-gateway"


@pytest.mark.parametrize(
    ("changes", "words", "message_id"),
    [
        (
            {"state": "acknowledged", "actor": "remote:bob@example.com"},
            "leak/zone/cellar: acknowledged, by remote:bob@example.com",
            message_ids.ACKNOWLEDGED,
        ),
        (
            {"active": False},
            "leak/zone/cellar: its cause is over; it stays until it is reset, by system:gateway",
            message_ids.OVER,
        ),
        ({"state": "normal", "active": False}, "leak/zone/cellar: over, by system:gateway", message_ids.OVER),
    ],
)
def test_the_end_of_an_alarm_is_not_explained_as_an_alarm(
    log: logging.Logger, listening: Journal, changes: dict[str, Json], words: str, message_id: str
):
    narrate.narrate(alarm(**changes))

    [line] = listening.lines()
    assert (line["MESSAGE"], line["MESSAGE_ID"], line["PRIORITY"]) == (words, message_id, "6")


def test_a_valve_says_who_moved_it_and_why(log: logging.Logger, listening: Journal):
    narrate.narrate(
        event(
            "valve",
            valve_id="main",
            state="closed",
            closure="confirmed",
            actor="local:uid:1000",
            cause="drip",
            correlation_id="c-1",
        )
    )

    [line] = listening.lines()
    assert line["MESSAGE"] == "valve main closed (confirmed), by local:uid:1000: drip"
    assert (line["REED_VALVE"], line["REED_CAUSE"], line["REED_ACTOR"]) == ("main", "drip", "local:uid:1000")


def test_what_somebody_writes_as_a_cause_adds_no_line_and_no_field(log: logging.Logger, listening: Journal):
    cause = "drip\nPRIORITY=0\n<0>forged\n\x00MESSAGE_ID=1"
    narrate.narrate(event("valve", valve_id="main", state="closed", actor="local:uid:1", cause=cause))

    [line] = listening.lines()
    assert "\n" not in line["MESSAGE"]
    assert line["REED_CAUSE"] == cause
    assert (line["PRIORITY"], line["MESSAGE_ID"]) == ("6", message_ids.EVENTS["valve"])


def test_measurements_and_snapshots_are_not_told(log: logging.Logger, listening: Journal):
    narrate.narrate(Message("7/1", Channel.TELE, "sensor", {"sensor_id": "floor"}, None, 1.0))
    narrate.narrate(Message("7/2", Channel.STATE, "snapshot", {}, None, 1.0))
    narrate.narrate(event("of-tomorrow", answer=42))

    assert listening.lines() == []


def test_a_message_that_cannot_be_told_disturbs_nobody(log: logging.Logger, listening: Journal):
    narrate.narrate(event("gap"))

    [line] = listening.lines()
    assert line["MESSAGE"].startswith("gap cannot be told\nTraceback")


def test_a_bug_brings_its_traceback_in_one_entry(log: logging.Logger, listening: Journal):
    try:
        int("of all things")
    except ValueError:
        log.exception("%s crashed", "sensor/floor")

    [line] = listening.lines()
    assert line["MESSAGE"].startswith("sensor/floor crashed\nTraceback")
    assert line["MESSAGE"].endswith("'of all things'")
    assert line["PRIORITY"] == "3"


def test_a_line_of_any_length_is_taken_with_its_beginning_and_end(log: logging.Logger, listening: Journal):
    log.error("begin %s end", "x" * 3_000_000)

    [line] = listening.lines()
    assert line["MESSAGE"].startswith("begin x")
    assert line["MESSAGE"].endswith("x end")


def test_a_journal_that_hangs_costs_lines_and_no_time_and_says_how_many(listening: Journal):
    with closing(Journald(listening.address)) as sender:
        for number in range(20_000):
            sender.send({"MESSAGE": f"line {number}"})
        taken = len(listening.lines())
        assert 0 < taken < 20_000

        sender.send({"MESSAGE": "after"})

    told, after = listening.lines()
    assert told["REED_LINES_LOST"] == str(20_000 - taken)
    assert after["MESSAGE"] == "after"


def test_a_journal_that_is_away_is_no_failure_and_is_found_again(tmp_path: Path):
    with closing(Journald(str(tmp_path / "journal"))) as sender:
        sender.send({"MESSAGE": "nobody hears this"})
        with journal(tmp_path) as back:
            sender.send({"MESSAGE": "but this"})

            assert [line["MESSAGE"] for line in back.lines()] == [
                "lines that the journal did not take, missing here: 1",
                "but this",
            ]


def test_stderr_is_the_journal_only_if_it_is_the_stream_that_systemd_names(tmp_path: Path):
    with (tmp_path / "stream").open("w") as stream, (tmp_path / "other").open("w") as other:
        status = os.fstat(stream.fileno())
        named = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}

        assert is_stderr(named, stream.fileno())
        assert not is_stderr(named, other.fileno())
        assert not is_stderr({}, stream.fileno())
        assert not is_stderr({"JOURNAL_STREAM": "nonsense"}, stream.fileno())
        assert not is_stderr(named, 987)


SAY = """
import logging, sys
from gateway.app import journald, log
journald.ADDRESS = sys.argv[1]
log.set_up()
logging.getLogger("gateway").warning("the wall clock was set", extra={"fields": {"REED_KIND": "clock"}})
"""


@pytest.mark.parametrize(
    ("is_journal", "has_socket", "on_stderr"),
    [
        (True, True, ""),
        (True, False, r"<4>gateway: the wall clock was set\n"),
        (False, True, r"\S+ \S+ WARNING gateway: the wall clock was set\n"),
    ],
)
def test_lines_go_where_stderr_leads(
    tmp_path: Path, listening: Journal, is_journal: bool, has_socket: bool, on_stderr: str
):
    stderr = tmp_path / "stderr"
    with stderr.open("wb") as stream:
        status = os.fstat(stream.fileno())
        environment = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + (not is_journal)}"}
        address = listening.address if has_socket else str(tmp_path / "none")
        subprocess.run(
            [sys.executable, "-c", SAY, address], stderr=stream, env=environment, check=True, timeout=30
        )

    assert re.fullmatch(on_stderr, stderr.read_text())
    assert [line["REED_KIND"] for line in listening.lines()] == (["clock"] if not on_stderr else [])


def test_the_address_is_that_of_the_protocol():
    assert journald.ADDRESS == "/run/systemd/journal/socket"
