"""A day of supervision in virtual time, with real deadlines: one sensor talks, another does not."""

from gateway.domain.commands import Publish, SetCoil
from gateway.domain.events import SensorRead
from gateway.domain.model import Reading
from tests.fakes.site import Stage, small_site

DAY_S = 24 * 3600.0
EVERY_S = 0.9 * (small_site().sensors["sink"].silence_s or 0.0)

MISSING = "sensor-missing/sensor/floor"


def told(stage: Stage, alarm_id: str) -> list[object]:
    """Whether it was present, for each message about this alarm."""
    bodies = [
        command.body for command in stage.log if isinstance(command, Publish) and command.kind == "alarm"
    ]
    return [body["active"] for body in bodies if body["alarm_id"] == alarm_id]


def test_a_sensor_that_is_silent_for_a_day_is_missed_once_whatever_is_sent_in_its_name() -> None:
    stage = Stage()
    stage.handle(SensorRead("floor", Reading("bthome-v2", wet=False, counter=7, authentic=True)))
    start_s = stage.now_s

    while stage.now_s < start_s + DAY_S:
        stage.handle(SensorRead("sink", Reading("switchbot", wet=False)))
        stage.handle(SensorRead("floor", Reading("bthome-v2", counter=9, authentic=False)))
        stage.handle(SensorRead("floor", Reading("bthome-v2", wet=True, counter=6, authentic=True)))
        stage.wait(EVERY_S)

    assert told(stage, MISSING) == [True]
    assert told(stage, "sensor-missing/sensor/sink") == []
    assert not any(isinstance(command, SetCoil) for command in stage.log)

    stage.handle(SensorRead("floor", Reading("bthome-v2", wet=False, counter=8, authentic=True)))
    assert told(stage, MISSING) == [True, False]
