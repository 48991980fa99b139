"""Each key of the configuration: who judges a change that came from afar, or that it does not matter.

How things are wired, who the cloud is and what the button does are decided at the building. A key that is in
neither table may not change: who adds one decides here (tests/config/test_config_limits.py demands it).
"""

import dataclasses
from collections.abc import Mapping
from typing import Final

from gateway.config import lowering
from gateway.config.lowering import Judge
from gateway.config.model import ButtonLines, GatewayConfig, IndicatorConfig, ValveLines
from gateway.control.config import Config as ControlConfig
from gateway.domain.site import (
    ButtonSpec,
    FlowRuleSpec,
    MeterSpec,
    OverridePolicy,
    SensorSpec,
    ValveSpec,
    ZoneSpec,
)
from gateway.drivers.adc.config import Config as AdcConfig
from gateway.drivers.ble.config import Config as BluetoothConfig
from gateway.drivers.gpio.config import Config as GpioConfig
from gateway.drivers.meter import Config as MeterConfig
from gateway.drivers.modbus.config import Config as SerialConfig
from gateway.identity.config import Config as IdentityConfig
from gateway.link.config import Config as LinkConfig
from gateway.sim.config import Config as SimConfig
from gateway.store.config import Config as StoreConfig
from gateway.update.config import Config as UpdateConfig

_MIB = 1 << 20
_HOUR_S, _DAY_S = 3600.0, 86_400.0

WIRED: Final = lowering.fixed("it must be as it is wired")
_CLOUD = lowering.fixed("who the cloud is, is decided at the building")
_PLACE = lowering.fixed("what was remembered would be lost")
_BUTTON = lowering.fixed("people know the button as it is")
NAME: Final = lowering.no_longer(200)
_ACTION = lowering.no_weaker("close", "notify")

JUDGED: Final[Mapping[type, Mapping[str, Judge]]] = {
    GatewayConfig: {
        "id": _CLOUD,
        "state_dir": _PLACE,
        "runtime_dir": _PLACE,
        "cloud_loss_s": lowering.at_most(_DAY_S),
    },
    SimConfig: {"socket": WIRED},
    GpioConfig: {"chip": WIRED},
    BluetoothConfig: {"adapters": lowering.all_of, "silence_s": lowering.at_most(600.0)},
    StoreConfig: {
        "path": _PLACE,
        "max_bytes": lowering.within(16 * _MIB, 1024 * _MIB),
        "max_ram_bytes": lowering.within(1 * _MIB, 32 * _MIB),
        "commit_after_s": lowering.within(1.0, 300.0),
        "journal_entries": lowering.at_least(5000),
        "open_wait_s": lowering.within(0.5, 10.0),
        "claim_wait_s": lowering.within(0.5, 10.0),
        "stall_after_s": lowering.within(1.0, 30.0),
        "close_wait_s": lowering.within(1.0, 30.0),
    },
    ControlConfig: {
        "socket": lowering.fixed("local programs look for it there"),
        "group": lowering.fixed("who may actuate is decided at the building"),
        "max_clients": lowering.within(16, 256),
        "max_clients_per_user": lowering.at_least(8),
        "idle_s": lowering.at_least(10.0),
    },
    LinkConfig: {
        "host": _CLOUD,
        "port": _CLOUD,
        "ca_file": _CLOUD,
        "cert_file": _CLOUD,
        "key_file": _CLOUD,
        "command_key_file": _CLOUD,
        "receipts": lowering.no_weaker("cloud", "broker"),
        "replay_per_s": lowering.no_slower(1.0),
        "keepalive_s": lowering.at_most(300),
        "backoff_cap_s": lowering.at_most(900.0),
        "connect_timeout_s": lowering.at_least(5.0),
        "ack_timeout_s": lowering.at_least(5.0),
        "receipt_timeout_s": lowering.at_least(10.0),
    },
    IdentityConfig: {
        "key": lowering.no_weaker("tpm", "auto", "software"),
        "allow_software_key": lowering.stays_off,
        "tcti": WIRED,
        "renew_at": lowering.at_most(0.8),
        "tpm_timeout_s": lowering.at_least(10.0),
    },
    UpdateConfig: {
        "url": _CLOUD,
        "hawkbit_url": _CLOUD,
        "hawkbit_tenant": _CLOUD,
        "poll_s": lowering.at_most(_HOUR_S),
        "health_timeout_s": lowering.within(120.0, 900.0),
        "allow": lowering.none_but,
    },
    IndicatorConfig: {
        "led_line": lowering.kept("people look at it"),
        "sounder_line": lowering.kept("people listen to it"),
    },
    OverridePolicy: {
        **dict.fromkeys(("short_min_s", "short_max_s", "long_s", "very_long_s", "stuck_s"), _BUTTON),
        "timed_s": lowering.within(600.0, 2 * _HOUR_S),
        "countdown_s": lowering.within(30.0, 300.0),
        "reannounce_s": lowering.within(900.0, 8 * _HOUR_S),
        "leak_breaks_hold": lowering.stays_on,
    },
    SensorSpec: {
        "name": NAME,
        "kind": WIRED,
        "keyed": lowering.stays_on,
        "silence_s": lowering.within(600.0, 4 * _HOUR_S),
        "supervised": lowering.stays_on,
        "battery_low_percent": lowering.within(10, 50),
        "battery_low_v": lowering.within(2.0, 3.0),
        "freeze_warning_degc": lowering.within(4.0, 12.0),
        "freeze_degc": lowering.within(2.0, 8.0),
    },
    ZoneSpec: {
        "name": NAME,
        "sensors": lowering.all_of,
        "valves": lowering.all_of,
        "action": _ACTION,
        "confirm_s": lowering.at_most(10.0),
        "quorum": lowering.quorum,
        "latch": lowering.stays_on,
        "dry_hold_s": lowering.within(30.0, _HOUR_S),
        "cooldown_s": lowering.at_most(60.0),
    },
    ValveSpec: {
        "name": NAME,
        "kind": WIRED,
        "end_switches": lowering.all_of,
        **dict.fromkeys(("travel_s", "max_run_s", "dead_time_s", "pulse_s"), WIRED),
        "retry_every_s": lowering.within(60.0, 600.0),
        "exercise_every_s": lowering.no_less_often(_DAY_S, 31 * _DAY_S),
        "on_daemon_loss": lowering.no_weaker("close", "hold"),
    },
    ValveLines: dict.fromkeys((field.name for field in dataclasses.fields(ValveLines)), WIRED),
    ButtonSpec: {"valves": lowering.fixed("what it overrules is decided at the building")},
    ButtonLines: dict.fromkeys((field.name for field in dataclasses.fields(ButtonLines)), WIRED),
    MeterSpec: {
        "name": NAME,
        "litres_per_pulse": WIRED,
        "valves": lowering.all_of,
        "passing_l_per_min": lowering.at_most(1.0),
    },
    MeterConfig: dict.fromkeys((field.name for field in dataclasses.fields(MeterConfig)), WIRED),
    FlowRuleSpec: {
        "name": NAME,
        "meter": WIRED,
        "above_l_per_min": lowering.no_more,
        "for_s": lowering.no_more,
        "action": _ACTION,
        "modes": lowering.all_of,
        "periods": lowering.all_the_time,
        "pre_alarm_s": lowering.at_most(300.0),
    },
    SerialConfig: {
        **dict.fromkeys(("device", "baud", "parity", "stop_bits"), WIRED),
        "timeout_s": lowering.at_least(0.2),
    },
    AdcConfig: dict.fromkeys(("kind", "device", "address", "supply_v", "supply_channel"), WIRED),
}

HARMLESS: Final[Mapping[type, frozenset[str]]] = {
    BluetoothConfig: frozenset({"scan"}),
    StoreConfig: frozenset({"commit_rows", "claims", "receipts"}),
    LinkConfig: frozenset({"in_flight", "unreceipted_max", "snapshot_every_s"}),
    UpdateConfig: frozenset({"window", "deadline_s"}),
    SensorSpec: frozenset({"id"}),
    ZoneSpec: frozenset({"id"}),
    ValveSpec: frozenset({"id"}),
    ButtonSpec: frozenset({"id"}),
    MeterSpec: frozenset({"id"}),
    FlowRuleSpec: frozenset({"id"}),
    AdcConfig: frozenset({"samples_per_s"}),
}
"""Of no weight: figures that their own ranges keep sensible, and `store.receipts` (the link's)."""
