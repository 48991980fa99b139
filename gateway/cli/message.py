"""A message of the gateway in words, for people."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.cli.table import wetness

_BOOKKEEPING = {"correlation_id", "actor", "occurrence", "alarm_id"}


def when(message: Mapping[str, Any]) -> str:
    """Return the local time, or seconds since boot while the clock is not to be trusted."""
    if message["at_unix_s"] is None:
        return f"+{message['mono_s']:.1f} s"
    return datetime.fromtimestamp(message["at_unix_s"], UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def sentence(message: Mapping[str, Any]) -> str:
    """Return what the message says; of a kind unknown here, its fields."""
    match message["kind"], message["body"]:
        case "sensor", {"sensor_id": sensor_id, "wet": (True | False | None) as wet}:
            return f"{sensor_id} {wetness(wet)}"
        case "valve", {"valve_id": valve_id, "state": state, **rest}:
            reason = rest.get("closure") or rest.get("cause")
            return f"{valve_id} {state}" + (f" ({reason})" if reason else "")
        case "alarm", {"alarm_id": alarm_id, "state": state, "active": active, **rest}:
            words = f"{alarm_id} {'present' if active else 'gone'}, {str(state).replace('_', ' ')}"
            return f"{words}: {rest['detail']}" if rest.get("detail") else words
        case _, body:
            return "  ".join(
                f"{key}={_word(value)}"
                for key, value in body.items()
                if key not in _BOOKKEEPING and value not in ("", None)
            )


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
