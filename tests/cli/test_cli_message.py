from typing import Any

import pytest

from gateway.cli.message import sentence

ALARM = {"alarm_id": "leak/zone/roof", "state": "returned_unacknowledged", "active": False}
PRESENT = ALARM | {"active": True, "detail": "wet: sink"}


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("sensor", {"sensor_id": "sink", "wet": True}, "sink WET"),
        ("sensor", {"sensor_id": "sink", "wet": None}, "sink ?"),
        ("sensor", {"sensor_id": "sink", "temperature_degc": 3.5}, "sink 3.5 °C"),
        ("sensor", {"sensor_id": "sink", "battery_percent": 95, "battery_v": None}, "sink battery 95 %"),
        ("restarted", {"epoch": 7, "through": 12}, "restarted: run 7 ended after message 12"),
        ("answer", {"command_id": "c-1", "state": "rejected", "reason": "expired"}, "c-1 rejected expired"),
        ("valve", {"valve_id": "main", "state": "closing", "cause": "leak"}, "main closing (leak)"),
        ("valve", {"valve_id": "main", "state": "closed", "closure": "assumed"}, "main closed (assumed)"),
        ("alarm", ALARM, "leak/zone/roof gone, returned unacknowledged"),
        ("alarm", PRESENT, "leak/zone/roof present, returned unacknowledged: wet: sink"),
        ("gap", {"ranges": [[1, 2]], "empty": "", "actor": "x"}, "ranges=[[1,2]]"),
        ("new", {}, ""),
    ],
)
def test_a_message_reads_as_a_sentence(kind: str, body: dict[str, Any], words: str):
    assert sentence({"kind": kind, "body": body}) == words
