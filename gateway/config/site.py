"""The tables with an id in their name: `[sensor.<id>]`, `[zone.<id>]`, `[valve.<id>]` and so on."""

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.config import flow
from gateway.config.model import ButtonLines, SensorConfig, ValveKeys, ValveLines
from gateway.config.table import Reader, Table, shown, suggestion
from gateway.domain.site import ButtonSpec, FlowRuleSpec, MeterSpec, SensorSpec, ValveSpec, ZoneSpec
from gateway.drivers import sensors
from gateway.drivers.adc.config import Config as AdcConfig
from gateway.drivers.meter import Config as MeterConfig
from gateway.drivers.modbus.config import Config as SerialConfig
from gateway.errors import ConfigError

ID = re.compile(r"[a-z0-9-]{1,64}")
ID_RULE = "an id is 1 to 64 of a-z, 0-9 and -"

SENSOR_KEYS = tuple(
    spec.name
    for spec in dataclasses.fields(SensorSpec)
    if spec.name not in ("id", "kind", "keyed", "supervised")
)
"""Keys that every kind of sensor has; the others are its driver's."""


@dataclass(slots=True)
class Parts:
    """What was read so far; things with problems are left out."""

    sensors: dict[str, SensorSpec] = field(default_factory=dict)
    sensor_configs: dict[str, SensorConfig] = field(default_factory=dict)
    zones: dict[str, ZoneSpec] = field(default_factory=dict)
    valves: dict[str, ValveSpec] = field(default_factory=dict)
    valve_lines: dict[str, ValveLines] = field(default_factory=dict)
    buttons: dict[str, ButtonSpec] = field(default_factory=dict)
    button_lines: dict[str, ButtonLines] = field(default_factory=dict)
    meters: dict[str, MeterSpec] = field(default_factory=dict)
    meter_configs: dict[str, MeterConfig] = field(default_factory=dict)
    flow_rules: dict[str, FlowRuleSpec] = field(default_factory=dict)
    serial: dict[str, SerialConfig] = field(default_factory=dict)
    adc: dict[str, AdcConfig] = field(default_factory=dict)


def read(reader: Reader, tables: Table) -> Parts:
    """Return all things of the site that are well-formed; the reader holds the problems of the others."""
    parts = Parts()
    for thing_id, table in _things(reader, tables["sensor"], "sensor"):
        _read_sensor(reader, parts, thing_id, table)
    for thing_id, table in _things(reader, tables["zone"], "zone"):
        zone = reader.build(ZoneSpec, table, f"zone.{thing_id}", {"id": thing_id})
        if zone is not None:
            parts.zones[thing_id] = zone
    for thing_id, table in _things(reader, tables["valve"], "valve"):
        _read_valve(reader, parts, thing_id, table)
    for thing_id, table in _things(reader, tables["button"], "button"):
        _read_button(reader, parts, thing_id, table)
    _read_flow(reader, parts, tables)
    for thing_id, table in _things(reader, tables["serial"], "serial"):
        port = reader.build(SerialConfig, table, f"serial.{thing_id}")
        if port is not None:
            parts.serial[thing_id] = port
    for thing_id, table in _things(reader, tables["adc"], "adc"):
        converter = reader.build(AdcConfig, table, f"adc.{thing_id}")
        if converter is not None:
            parts.adc[thing_id] = converter
    return parts


def _things(reader: Reader, tables: Table, collection: str) -> Iterator[tuple[str, Table]]:
    for thing_id, table in tables.items():
        where = f"{collection}.{thing_id}"
        if not ID.fullmatch(thing_id):
            reader.add(f"{collection}.{shown(thing_id)}", ID_RULE)
        elif not isinstance(table, dict):
            # the value is not shown: it may be the key of a sensor, one table too high
            reader.add(where, f"a value is not allowed here; it is a table: [{where}]")
        else:
            yield thing_id, table


def _read_sensor(reader: Reader, parts: Parts, sensor_id: str, table: Table) -> None:
    where = f"sensor.{sensor_id}"
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in sensors.kinds():
        reader.add(f"{where}.kind", _wrong_kind(kind))
        return
    driver = sensors.load(kind)
    own = {field.name for field in dataclasses.fields(driver.config)}
    reader.refuse_unknown(table, {"kind", *SENSOR_KEYS, *own}, where)
    config = reader.build(driver.config, {key: table[key] for key in table if key in own}, where)
    common = {key: table[key] for key in table if key in SENSOR_KEYS and key not in own}
    silence_s = common.get("silence_s", driver.default_silence_s)
    known = {
        "id": sensor_id,
        "kind": kind,
        "keyed": config is not None and driver.keyed(config),
        "supervised": driver.supervised or isinstance(silence_s, int | float),
    }
    if "silence_s" not in common:
        known["silence_s"] = silence_s
    spec = reader.build(SensorSpec, common, where, known)
    if spec is not None and spec.silence_s == 0:
        reader.add(f"{where}.silence_s", '0 is out of range; give more than 0 (seconds) or "off"')
    if config is not None and spec is not None:
        parts.sensors[sensor_id] = spec
        parts.sensor_configs[sensor_id] = SensorConfig(kind, config)


def _wrong_kind(kind: object) -> str:
    kinds = sensors.kinds()
    if kind is None:
        return f"missing; give one of {', '.join(kinds)}"
    return f"{shown(kind)} is not allowed; {suggestion(str(kind), kinds)}"


def _read_valve(reader: Reader, parts: Parts, valve_id: str, table: Table) -> None:
    where = f"valve.{valve_id}"
    line_keys = {field.name for field in dataclasses.fields(ValveLines)}
    own_keys = {field.name for field in dataclasses.fields(ValveKeys)}
    reader.refuse_unknown(table, line_keys | own_keys, where)
    lines = reader.build(ValveLines, {key: table[key] for key in table if key in line_keys}, where)
    keys = reader.build(ValveKeys, {key: table[key] for key in table if key in own_keys}, where)
    if lines is None or keys is None:
        return
    try:
        lines.check(keys.kind)
    except ConfigError as error:
        for key, problem in error.problems:
            reader.add(f"{where}.{key}", problem)
    switches = {"open": lines.open_switch_line, "closed": lines.closed_switch_line}
    fitted = frozenset(end for end, line in switches.items() if line is not None)
    values = {name: getattr(keys, name) for name in own_keys}
    parts.valves[valve_id] = ValveSpec(id=valve_id, end_switches=fitted, **values)
    parts.valve_lines[valve_id] = lines


def _read_button(reader: Reader, parts: Parts, button_id: str, table: Table) -> None:
    where = f"button.{button_id}"
    line_keys = {field.name for field in dataclasses.fields(ButtonLines)}
    reader.refuse_unknown(table, line_keys | {"valves"}, where)
    lines = reader.build(ButtonLines, {key: table[key] for key in table if key in line_keys}, where)
    own = {key: table[key] for key in table if key == "valves"}
    spec = reader.build(ButtonSpec, own, where, {"id": button_id})
    if lines is not None and spec is not None:
        parts.buttons[button_id] = spec
        parts.button_lines[button_id] = lines


def _read_flow(reader: Reader, parts: Parts, tables: Table) -> None:
    for meter_id, table in _things(reader, tables["meter"], "meter"):
        meter = flow.read_meter(reader, meter_id, table)
        if meter is not None:
            parts.meters[meter_id], parts.meter_configs[meter_id] = meter
    for rule_id, table in _things(reader, tables["flow_rule"], "flow_rule"):
        rule = flow.read_rule(reader, rule_id, table)
        if rule is not None:
            parts.flow_rules[rule_id] = rule
