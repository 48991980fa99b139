"""Reads the configuration file: every problem is found and named before anything starts."""

import tomllib
from pathlib import Path

from gateway.config import check, flow, site
from gateway.config.model import Config, GatewayConfig, IndicatorConfig
from gateway.config.table import Reader, Table, shown
from gateway.control.config import Config as ControlConfig
from gateway.domain.site import OverridePolicy, Site
from gateway.drivers.ble.config import Config as BluetoothConfig
from gateway.drivers.gpio.config import Config as GpioConfig
from gateway.errors import ConfigError
from gateway.identity.config import Config as IdentityConfig
from gateway.link.config import Config as LinkConfig
from gateway.sim.config import Config as SimConfig
from gateway.store.config import Config as StoreConfig
from gateway.update.config import Config as UpdateConfig

MAX_BYTES = 1 << 20
"""No building needs more; a device file given by mistake would never end."""

_INTEGERS = 1 << 63

TABLES = (
    "gateway",
    "board",
    "bluetooth",
    "store",
    "link",
    "identity",
    "update",
    "control",
    "override",
    "indicator",
)
COLLECTIONS = ("sensor", "zone", "valve", "button", "meter", "flow_rule", "serial", "adc")

BOARDS: dict[str, type[SimConfig] | type[GpioConfig]] = {"linux": GpioConfig, "sim": SimConfig}
"""Kind of board to the keys of `[board]`."""


def read(path: Path, folder: Path | None = None) -> Config:
    """Return the configuration.

    Args:
        path: The file.
        folder: Where relative paths start; None: where the file lies.

    Raises:
        ConfigError: With everything that is wrong, each with its key and what is allowed.
    """
    document = _parse(path)
    reader = Reader((folder or path.parent).absolute())
    config = _assemble(reader, document, path)
    if config is None or reader.problems:
        raise ConfigError(*reader.problems, file=str(path))
    return config


def _parse(path: Path) -> Table:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError((str(path), f"cannot be read: {error.strerror or error}")) from None
    except ValueError:
        raise ConfigError((shown(str(path)), "is no path")) from None
    if len(text) > MAX_BYTES:
        raise ConfigError((str(path), f"is larger than {MAX_BYTES} bytes; is it the right file?"))
    try:
        document = tomllib.loads(text.decode())
        is_endless = _is_endless(document)
    except UnicodeDecodeError as error:
        raise ConfigError((str(path), f"is not UTF-8 (byte {error.start}); save it as UTF-8")) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((str(path), f"is not TOML: {error}")) from None
    except RecursionError:
        raise ConfigError((str(path), "is nested too deeply")) from None
    except ValueError:  # Python's own bound on the digits of a number
        is_endless = True
    if is_endless:
        raise ConfigError((str(path), "is not TOML: a whole number in it has more than 64 bits"))
    return document


def _is_endless(value: object) -> bool:
    """Tell whether there is an integer that is none in TOML; no float and no database takes it either."""
    if isinstance(value, dict):
        return any(map(_is_endless, value.values()))
    if isinstance(value, list):
        return any(map(_is_endless, value))
    return isinstance(value, int) and not -_INTEGERS <= value < _INTEGERS


def _assemble(reader: Reader, document: Table, path: Path) -> Config | None:
    reader.refuse_unknown(document, TABLES + COLLECTIONS, "")
    tables = {name: _table(reader, document, name) for name in TABLES + COLLECTIONS}
    gateway = reader.build(GatewayConfig, tables["gateway"], "gateway")
    link = reader.build(LinkConfig, tables["link"], "link") if "link" in document else None
    identity = reader.build(IdentityConfig, tables["identity"], "identity")
    update = reader.build(UpdateConfig, tables["update"], "update")
    parts = site.read(reader, tables)
    indicator = reader.build(IndicatorConfig, tables["indicator"], "indicator")
    board = _board(reader, tables["board"])
    bluetooth = reader.build(BluetoothConfig, tables["bluetooth"], "bluetooth")
    override = reader.build(OverridePolicy, tables["override"], "override")
    store, control = _in_folders(reader, tables, gateway)
    check.gateway_id(reader, gateway)
    check.override(reader, override)
    _check_together(reader, parts, tables)
    if not (gateway and board and bluetooth and store and identity and control and indicator and override):
        return None
    if update is None:
        return None
    return Config(
        path=path.absolute(),
        gateway=gateway,
        board=board,
        bluetooth=bluetooth,
        store=store,
        control=control,
        link=link,
        identity=identity,
        indicator=indicator,
        site=_site(parts, override, gateway.cloud_loss_s),
        sensors=parts.sensor_configs,
        valves=parts.valve_lines,
        buttons=parts.button_lines,
        meters=parts.meter_configs,
        serial=parts.serial,
        adc=parts.adc,
        update=update,
    )


def _check_together(reader: Reader, parts: site.Parts, tables: dict[str, Table]) -> None:
    check.references(reader, parts, tables)
    check.lines(reader, tables)
    check.same_sensors(reader, tables)
    check.devices(reader, parts)
    flow.fit(reader, parts.meters, parts.flow_rules)


def _site(parts: site.Parts, override: OverridePolicy, cloud_loss_s: float) -> Site:
    return Site(
        sensors=parts.sensors,
        zones=parts.zones,
        valves=parts.valves,
        buttons=parts.buttons,
        meters=parts.meters,
        flow_rules=parts.flow_rules,
        override=override,
        cloud_loss_s=cloud_loss_s,
    )


def _table(reader: Reader, document: Table, name: str) -> Table:
    table = document.get(name, {})
    if isinstance(table, dict):
        return table
    reader.add(name, f"{shown(table)} is not allowed; it is a table: [{name}]")
    return {}


def _board(reader: Reader, table: Table) -> SimConfig | GpioConfig | None:
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in BOARDS:
        known = " or ".join(f'"{name}"' for name in BOARDS)
        problem = "missing" if kind is None else f"{shown(kind)} is not allowed"
        reader.add("board.kind", f"{problem}; give {known}")
        return None
    keys = {key: value for key, value in table.items() if key != "kind"}
    return reader.build(BOARDS[kind], keys, "board")


def _in_folders(
    reader: Reader, tables: Table, gateway: GatewayConfig | None
) -> tuple[StoreConfig | None, ControlConfig | None]:
    """Build the tables whose paths follow `[gateway]` unless they are given."""
    folders = gateway or GatewayConfig(id="unknown")
    store = {"path": str(folders.state_dir / "reed.sqlite"), **tables["store"]}
    control = {"socket": str(folders.runtime_dir / "org.reed.Gateway"), **tables["control"]}
    # one key for both ends of the queue: [link] has it, a wrong value is reported there
    receipts = "broker" if tables["link"].get("receipts") == "broker" else "cloud"
    return (
        reader.build(StoreConfig, store, "store", {"receipts": receipts}),
        reader.build(ControlConfig, control, "control"),
    )
