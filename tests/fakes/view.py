"""What a gateway shows: a leak in the plant room, a valve still open, a silent sensor, water flowing."""

from gateway.domain.model import Json

LEAK = "leak/zone/plant-room"


def example_view() -> dict[str, Json]:
    """A leak in the plant room; the main valve is still open, the cellar's sensor is silent."""

    def sensor(name: str, **changes: Json) -> dict[str, Json]:
        return {
            "name": name,
            "kind": "bthome",
            "wet": False,
            "healthy": True,
            "faults": [],
            "supervised": True,
            "keyed": True,
            "last_seen_s_ago": 12.5,
            "battery_percent": 87,
            "temperature_degc": 19.4,
            "bypassed": False,
            "distance_m": None,
            "rejected": 0,
        } | changes

    def valve(name: str, state: str, **changes: Json) -> dict[str, Json]:
        return {
            "name": name,
            "kind": "motorised",
            "state": state,
            "closure": None,
            "closure_by": None,
            "authority": "auto",
            "override": None,
            "travel_s": 9.0,
            "goal": None,
            "progress_percent": None,
        } | changes

    def meter(name: str, **changes: Json) -> dict[str, Json]:
        return {
            "name": name,
            "litres_per_pulse": 10.0,
            "valves": ["main"],
            "state": "flowing",
            "l_per_min": 12.0,
            "at_least_l_per_min": 10.0,
            "at_most_l_per_min": 14.4,
            "over_s": 100.0,
            "last_pulse_s_ago": 4.2,
            "pulses": 481_036,
            "litres": 4_810_360.0,
            "hour_litres": 210.0,
            "day_litres": 4640.0,
            "still_flowing": False,
        } | changes

    def flow_rule(name: str, **changes: Json) -> dict[str, Json]:
        return {
            "name": name,
            "meter": "street",
            "above_l_per_min": 4.0,
            "for_s": 2700.0,
            "pre_alarm_s": 120.0,
            "action": "close",
            "modes": ["occupied", "unoccupied"],
            "periods": [[1320, 1800]],
            "state": "counting",
            "latched": False,
            "closing": False,
            "above_s": 600.0,
            "closes_in_s": None,
            "notify_only": "",
        } | changes

    def alarm(alarm_id: str, cls: str, **changes: Json) -> dict[str, Json]:
        kind, _, subject = alarm_id.partition("/")
        return {
            "id": alarm_id,
            "class": cls,
            "kind": kind,
            "subject": subject,
            "state": "unacknowledged",
            "latched": False,
            "active": True,
            "shelved_for_s": None,
            "raised_s_ago": 61.0,
            "detail": "",
        } | changes

    return {
        "state": "alarm",
        "zones": {
            "plant-room": {
                "name": "Plant room",
                "state": "alarm",
                "wet": ["pump"],
                "healthy": 1,
                "quorum": 1,
                "sensors": ["pump", "cellar"],
                "valves": ["main"],
                "action": "close",
                "latched": True,
            }
        },
        "sensors": {
            "pump": sensor("Under the pump", wet=True),
            "cellar": sensor("Cellar", wet=None, healthy=False, faults=["missing"], last_seen_s_ago=90_000.0),
        },
        "valves": {
            "main": valve("Main", "open", authority="leak"),
            "kitchen": valve(
                "Kitchen", "closed", closure="confirmed", closure_by="switch", kind="spring_return"
            ),
        },
        "occupancy": "occupied",
        "meters": {"street": meter("Street")},
        "flow_rules": {"night": flow_rule("Night")},
        "alarms": [
            alarm(LEAK, "alarm", latched=True, detail="pump is wet"),
            alarm("sensor-missing/sensor/cellar", "trouble", detail="silent for 25 h"),
        ],
        "indicator": {"led": "alarm", "sounder": "alarm"},
        "gateway": {"id": "hq-01", "version": "0.1.0", "uptime_s": 3700.0, "boot_id": "b", "epoch": 7},
        "link": {"state": "up", "since_s": 60.0, "detail": ""},
        "store": {
            "state": "ok",
            "detail": "",
            "epoch": 7,
            "seq": 812,
            "queued": {"alarm": 0, "event": 2, "ack": 0, "state": 1, "tele": 40},
            "delivered": 760,
            "delivered_on_disk": 3,
            "in_flight": 2,
            "in_ram": 4,
            "ram_bytes": 1900,
            "disk_bytes": 90_112,
            "max_bytes": 64_000_000,
            "evicted": 5,
            "poisoned": 1,
            "quarantined": 0,
            "commits": 97,
            "last_commit_ms": 4.2,
            "journal": {"entries": 31, "head": "00"},
        },
        "clock": {"trusted": True},
        "update": {
            "state": "downloading",
            "update_id": "u-17",
            "kind": "os",
            "version": "1.4.0",
            "from_version": "1.3.2",
            "code": "",
            "detail": "",
            "waits_for": "",
            "percent": 40,
        },
    }
