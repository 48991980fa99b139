"""What the core says, as lines of the log: the journal tells the story of the building, too.

Measurements are left out. Fields let `journalctl REED_VALVE=main` find all that happened to a valve.
"""

import logging
from collections.abc import Callable, Mapping

from gateway.app import message_ids
from gateway.control.daemon import Message
from gateway.domain.model import Channel, Json, SignalClass

log = logging.getLogger("gateway")

_LEVELS = {SignalClass.ALARM: logging.CRITICAL}
_THINGS = {"zone", "sensor", "valve", "button", "meter", "rule"}
_CARRIED = ("actor", "cause", "correlation_id", "class", "state", "closure", "detail", "reason", "code")
"""What is worth a field of its own, where the message has it."""

Body = Mapping[str, Json]


def narrate(message: Message) -> None:
    """Log a message that the core has published; whatever is wrong with it, the valve must not notice."""
    tell = _TELLERS.get(message.kind)
    if tell is None or message.channel in (Channel.STATE, Channel.TELE):
        return
    try:
        _write(message, *tell(message.body))
    except Exception:
        log.exception("%s cannot be told", message.kind)


def _write(message: Message, level: int, message_id: str, subject: str, text: str) -> None:
    fields = {"REED_MESSAGE": message.id, "REED_KIND": _word(message.body, "kind") or message.kind}
    fields |= _about(subject) | {
        f"REED_{key.upper()}": said for key in _CARRIED if (said := _word(message.body, key))
    }
    if message.kind == "alarm":
        fields["REED_ALARM"] = _word(message.body, "alarm_id")
    extra = {"message_id": message_id, "fields": fields, "subject": text.partition(":")[0]}
    # one line, whatever somebody has written as a cause
    log.log(level, "%s", " ".join(text.split()), extra=extra)


_Line = tuple[int, str, str, str]
"""Level, message id, subject ("valve/main"), text."""


def _alarm(body: Body) -> _Line:
    alarm_id, subject = _word(body, "alarm_id"), _word(body, "subject")
    state, detail = _word(body, "state"), _word(body, "detail")
    if state == "unacknowledged" and body.get("active"):
        level = _LEVELS.get(SignalClass(_word(body, "class")), logging.WARNING)
        message_id = message_ids.of_alarm(_word(body, "kind"), subject)
        return level, message_id, subject, f"{body['class']} {alarm_id}: {detail}".rstrip(": ")
    if state == "acknowledged":
        by = f"acknowledged, {_by(body)}"
        return logging.INFO, message_ids.ACKNOWLEDGED, subject, f"{alarm_id}: {by}"
    left = {"normal": "over", "returned_unacknowledged": "over, not acknowledged"}
    words = left.get(state, "its cause is over; it stays until it is reset")
    return logging.INFO, message_ids.OVER, subject, f"{alarm_id}: {words}, {_by(body)}"


def _valve(body: Body) -> _Line:
    valve_id, state = _word(body, "valve_id"), _word(body, "state").replace("_", " ")
    closure = f" ({body['closure']})" if body.get("closure") else ""
    cause = f": {body['cause']}" if body.get("cause") else ""
    level = logging.WARNING if state in ("fault", "unknown") else logging.INFO
    text = f"valve {valve_id} {state}{closure}, {_by(body)}{cause}"
    return level, message_ids.EVENTS["valve"], f"valve/{valve_id}", text


def _sensor(body: Body) -> _Line:
    sensor_id, distance_m = _word(body, "sensor_id"), body.get("distance_m")
    level, said = (logging.WARNING, "wet") if body.get("wet") is True else (logging.INFO, "dry")
    at = f" at {distance_m:g} m" if isinstance(distance_m, int | float) else ""
    return level, message_ids.EVENTS["sensor"], f"sensor/{sensor_id}", f"sensor {sensor_id} is {said}{at}"


def _occupancy(body: Body) -> _Line:
    cause = f": {body['cause']}" if body.get("cause") else ""
    text = f"the building is {body['mode']}, {_by(body)}{cause}"
    return logging.INFO, message_ids.EVENTS["occupancy"], "", text


def _walk_test(body: Body) -> _Line:
    what = f"sensor {body['sensor_id']} " if body.get("sensor_id") else ""
    text = f"walk test of {body['zone_id']}: {what}{body['step']}"
    return logging.INFO, message_ids.EVENTS["walk_test"], f"zone/{body['zone_id']}", text


def _restarted(body: Body) -> _Line:
    text = f"epoch {body['epoch']} has ended; all up to message {body['through']} is accounted for"
    return logging.INFO, message_ids.EVENTS["restarted"], "", text


def _gap(body: Body) -> _Line:
    ranges = body["ranges"] if isinstance(body["ranges"], list) else []
    text = f"messages were given up ({body['reason']}): {body['detail']}; {len(ranges)} ranges"
    return logging.ERROR, message_ids.EVENTS["gap"], "", text


def _quarantined(body: Body) -> _Line:
    return (
        logging.ERROR,
        message_ids.EVENTS["store-quarantined"],
        "",
        f"the store began anew: {body['detail']}",
    )


def _refused(body: Body) -> _Line:
    text = f"commands from the cloud were refused: {body['last_reason']}: {body['detail']}"
    return logging.WARNING, message_ids.EVENTS["commands-refused"], "", text


def _update(body: Body) -> _Line:
    state, detail = _word(body, "state"), _word(body, "detail") or _word(body, "code")
    state_id = "failed" if state == "rejected" else state
    level = logging.WARNING if state_id in ("failed", "rolled_back") else logging.INFO
    to = f" to {body['waits_for']}" if body.get("waits_for") else ""
    why = f": {detail}" if detail else ""
    text = f"update of {_word(body, 'kind')} to {_word(body, 'version')}: {state.replace('_', ' ')}{to}{why}"
    message_id = message_ids.UPDATES.get(state_id, message_ids.EVENTS["update"])
    return level, message_id, f"update/{_word(body, 'update_id')}", text


_TELLERS: Mapping[str, Callable[[Body], _Line]] = {
    "alarm": _alarm,
    "valve": _valve,
    "sensor": _sensor,
    "occupancy": _occupancy,
    "walk_test": _walk_test,
    "restarted": _restarted,
    "gap": _gap,
    "store-quarantined": _quarantined,
    "commands-refused": _refused,
    "update": _update,
}
"""A new configuration ("config") has said so itself."""


def _about(subject: str) -> dict[str, str]:
    thing, _, name = subject.partition("/")
    named = {f"REED_{thing.upper()}": name} if thing in _THINGS and name else {}
    return named | ({"REED_SUBJECT": subject} if subject else {})


def _by(body: Body) -> str:
    return f"by {_word(body, 'actor') or 'nobody'}"


def _word(body: Body, key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""
