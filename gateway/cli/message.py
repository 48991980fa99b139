"""A message of the gateway in words, for people."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.cli.table import amount, flow, place, wetness

_BOOKKEEPING = {"correlation_id", "actor", "occurrence", "alarm_id"}

_MEASURED = {"battery_percent": "battery {} %", "battery_v": "battery {} V", "temperature_degc": "{} °C"}


def when(message: Mapping[str, Any]) -> str:
    """Return the local time, or seconds since boot while the clock is not to be trusted."""
    if message["at_unix_s"] is None:
        return f"+{message['mono_s']:.1f} s"
    return datetime.fromtimestamp(message["at_unix_s"], UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def sentence(message: Mapping[str, Any]) -> str:  # one case for each kind
    """Return what the message says; of a kind unknown here, its fields."""
    match message["kind"], message["body"]:
        case "sensor", {"sensor_id": sensor_id, "wet": (True | False | None) as wet}:
            return f"{sensor_id} {wetness(wet)}{place(message['body'].get('distance_m'))}"
        case "sensor", {"sensor_id": sensor_id, **rest}:
            said = [text.format(rest[key]) for key, text in _MEASURED.items() if rest.get(key) is not None]
            return f"{sensor_id} {', '.join(said)}".rstrip()
        case "valve", {"valve_id": valve_id, "state": state, **rest}:
            reason = rest.get("closure") or rest.get("cause")
            return f"{valve_id} {state}" + (f" ({reason})" if reason else "")
        case "alarm", {"alarm_id": alarm_id, "state": state, "active": active, **rest}:
            words = f"{alarm_id} {'present' if active else 'gone'}, {str(state).replace('_', ' ')}"
            return f"{words}: {rest['detail']}" if rest.get("detail") else words
        case "water", {"meter_id": meter_id, "litres": litres, "period": period}:
            return f"{meter_id} {amount(litres)} in this {period}"
        case "flow", {"meter_id": meter_id}:
            return f"{meter_id} {flow(message['body'])}"
        case "restarted", {"epoch": epoch, "through": through}:
            return f"restarted: run {epoch} ended after message {through}"
        case "answer", {"command_id": command_id, "state": state, **rest}:
            return " ".join(str(word) for word in (command_id, state, rest.get("reason")) if word)
        case _, body:
            return "  ".join(
                f"{key}={_word(value)}"
                for key, value in body.items()
                if key not in _BOOKKEEPING and value not in ("", None)
            )


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
