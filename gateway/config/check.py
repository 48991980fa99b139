"""What no single table can know: names that must exist, lines used twice, numbers that must fit together."""

import itertools
import os
import re
import stat
from collections.abc import Iterator

from gateway.config import flow
from gateway.config.model import Config, GatewayConfig
from gateway.config.site import Parts
from gateway.config.table import Reader, Table, shown, suggestion
from gateway.domain.site import Action, OverridePolicy
from gateway.drivers.adverts import secret_named

_GATEWAY_ID = re.compile(r"[a-z0-9-]{1,63}")
"""A label of a host name: it stands as one in the certificate."""


def gateway_id(reader: Reader, gateway: GatewayConfig | None) -> None:
    """Note an id that no topic and no certificate can carry."""
    if gateway is not None and not _GATEWAY_ID.fullmatch(gateway.id):
        rule = "a gateway's id is 1 to 63 of a-z, 0-9 and -"
        reader.add("gateway.id", f"{shown(gateway.id)} is not allowed; {rule}")


def references(reader: Reader, parts: Parts, tables: Table) -> None:
    """Note zones and buttons that name what is not there, and quorums that nobody can reach.

    Names are taken from the tables as written, so that a table with one problem still shows the others.
    """
    for collection, key, target in _REFERENCES:
        for thing_id, table in _tables(tables[collection]):
            _names(reader, f"{collection}.{thing_id}.{key}", table.get(key), target, tables)
    for rule_id, table in _tables(tables["flow_rule"]):
        _names(reader, f"flow_rule.{rule_id}.meter", [table.get("meter")], "meter", tables)
    for sensor_id, table in _tables(tables["sensor"]):
        for key, target in _connections(tables):
            name = [table[key]] if key in table else []
            _names(reader, f"sensor.{sensor_id}.{key}", name, target, tables)
    for zone_id, zone in parts.zones.items():
        where = f"zone.{zone_id}"
        if not zone.sensors:
            reader.add(f"{where}.sensors", "is empty; name at least one sensor")
        elif not 1 <= zone.quorum <= len(zone.sensors):
            allowed = f"give 1 to {len(zone.sensors)} (sensors in the zone)"
            reader.add(f"{where}.quorum", f"{zone.quorum} is out of range; {allowed}")
        if zone.action is Action.CLOSE and not zone.valves:
            reader.add(f"{where}.valves", 'missing; name a valve, or set action = "notify"')


_REFERENCES = (
    ("zone", "sensors", "sensor"),
    ("zone", "valves", "valve"),
    ("button", "valves", "valve"),
    ("meter", "valves", "valve"),
)


def _connections(tables: Table) -> Iterator[tuple[str, str]]:
    """Yield keys of sensors that name a device, and the tables of those; a simulated building has its own."""
    yield "port", "serial"
    if tables["board"].get("kind") != "sim":
        yield "adc", "adc"


def _tables(collection: Table) -> Iterator[tuple[str, Table]]:
    return ((name, table) for name, table in collection.items() if isinstance(table, dict))


def _names(reader: Reader, key: str, names: object, collection: str, tables: Table) -> None:
    known: Table = tables[collection]
    for name in names if isinstance(names, list) else ():
        if isinstance(name, str) and name not in known:
            reader.add(key, f"there is no [{collection}.{name}]; {suggestion(name, known)}")


def lines(reader: Reader, tables: Table) -> None:
    """Note every line that has two uses: two drivers of one output, or one input read as two things."""
    users: dict[str, str] = {}
    for key, line in [*_used_lines(tables), *_used_channels(tables)]:
        same = line.removeprefix("GPIO")  # line 17 of a Raspberry Pi is named GPIO17
        if same in users:
            reader.add(key, f"{shown(line)} is already used by {users[same]}; each line has one use")
        elif not line and not key.startswith("sensor."):
            reader.add(key, "is empty; name a line of the board")
        else:
            users[same] = key


def _used_channels(tables: Table) -> Iterator[tuple[str, str]]:
    for name, table in _tables(tables["sensor"]):
        if "adc" in table and "channel" in table:
            yield f"sensor.{name}.channel", f"channel {table['channel']} of adc.{table['adc']}"


def devices(reader: Reader, parts: Parts) -> None:
    """Note devices that two tables want for themselves, and inputs that a converter does not have."""
    users: dict[str, str] = {}
    found = [(f"serial.{name}", os.path.realpath(port.device)) for name, port in parts.serial.items()]
    found += [
        (f"adc.{name}", adc.place.replace(str(adc.device), os.path.realpath(adc.device), 1))
        for name, adc in parts.adc.items()
    ]
    for where, device in found:
        if device in users:
            reader.add(f"{where}.device", f"{device} is already used by {users[device]}")
        users.setdefault(device, where)
    for name, sensor in parts.sensor_configs.items():
        converter = parts.adc.get(getattr(sensor.config, "adc", ""))
        channel = getattr(sensor.config, "channel", 0)
        if converter is not None and channel not in converter.free_channels:
            allowed = ", ".join(map(str, converter.free_channels))
            reader.add(f"sensor.{name}.channel", f"{channel} is not allowed; free are {allowed}")


def _used_lines(tables: Table) -> Iterator[tuple[str, str]]:
    things: list[tuple[str, Table]] = []
    for collection in ("valve", "button", "meter", "sensor"):
        things += [(f"{collection}.{name}", table) for name, table in _tables(tables[collection])]
    for where, table in [*things, ("indicator", tables["indicator"])]:
        for key, line in table.items():
            if (key == "line" or key.endswith("_line")) and isinstance(line, str):
                yield f"{where}.{key}", line


def same_sensors(reader: Reader, tables: Table) -> None:
    """Note sensors that are one device: a table that was copied leaves the sensor it is meant for unheard."""
    users: dict[tuple[object, ...], str] = {}
    for name, table in _tables(tables["sensor"]):
        for key, device in _devices(table):
            if device in users:
                reader.add(f"sensor.{name}.{key}", f"{shown(table[key])} is sensor.{users[device]} already")
            users.setdefault(device, name)


def _devices(table: Table) -> Iterator[tuple[str, tuple[object, ...]]]:
    if isinstance(address := table.get("address"), str):
        yield "address", (address.replace(":", "").replace("-", "").upper(),)
    if "port" in table and "unit" in table:
        # several zones of a controller are several sensors, as are its ways to tell them
        yield "unit", tuple(str(table.get(key, 0)) for key in ("port", "unit", "profile", "zone"))


def override(reader: Reader, policy: OverridePolicy | None) -> None:
    """Note press times that could not be told apart."""
    if policy is None:
        return
    ladder = ("short_min_s", "short_max_s", "long_s", "very_long_s", "stuck_s")
    for lower, upper in itertools.pairwise(ladder):
        if getattr(policy, lower) >= getattr(policy, upper):
            value, floor = getattr(policy, upper), getattr(policy, lower)
            reader.add(f"override.{upper}", f"{value:g} must be more than {lower} = {floor:g}")
    for name in ("timed_s", "countdown_s", "reannounce_s"):
        if getattr(policy, name) <= 0:
            reader.add(f"override.{name}", "0 is out of range; give more than 0 (seconds)")


def warnings(config: Config) -> list[str]:
    """Return what is allowed but hardly meant, one line each."""
    watched = {sensor for zone in config.site.zones.values() for sensor in zone.sensors}
    closed = {valve for zone in config.site.zones.values() for valve in zone.valves}
    found = [
        f"sensor.{name}: in no zone; a leak there raises no alarm"
        for name in config.sensors
        if name not in watched
    ]
    metered = {rule.meter for rule in config.site.flow_rules.values() if rule.action is Action.CLOSE}
    closed |= {valve for name in metered for valve in config.site.meters[name].valves}
    found += [f"valve.{name}: in no zone; no leak closes it" for name in config.valves if name not in closed]
    if config.valves and not config.buttons:
        found.append("button: there is none; without it nobody can overrule the gateway on the spot")
    if config.link is None:
        found.append("link: absent; alarms stay in this building")
    found += flow.too_coarse(config.site.meters, config.site.flow_rules)
    found += flow.elsewhere(config.site.flow_rules)
    found += _readable_secrets(config)
    found += _missing_secrets(config)
    return found


def _readable_secrets(config: Config) -> list[str]:
    if not any(key and not secret_named(key) for key in _keys(config).values()):
        return []
    try:
        mode = config.path.stat().st_mode
    except OSError:
        return []
    if mode & stat.S_IROTH:
        return [f"{config.path}: holds sensor keys and everybody can read it; chmod o-r"]
    return []


def _missing_secrets(config: Config) -> list[str]:
    """Return which secrets nobody has set; nothing for a user who may not look."""
    folder = config.gateway.identity_dir / "secrets"
    wanted = {sensor: name for sensor, key in _keys(config).items() if (name := secret_named(key))}
    try:
        there = {path.name for path in folder.iterdir()} if wanted and folder.exists() else set()
    except OSError:
        return []
    return [
        f"sensor.{sensor}.key: there is no secret {name}; set it: reed-gateway secret set {name}"
        for sensor, name in wanted.items()
        if name not in there
    ]


def _keys(config: Config) -> dict[str, str]:
    return {name: str(getattr(sensor.config, "key", "")) for name, sensor in config.sensors.items()}
