"""The tables of docs/configuration.md, made from the dataclasses: keys, defaults, units, meanings.

Run `python tests/config/configuration_doc.py` in the checkout to write them into the document.
"""

import dataclasses
import enum
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from gateway.config.flow import FlowRuleKeys, templates
from gateway.config.model import (
    ButtonLines,
    GatewayConfig,
    IndicatorConfig,
    ValveKeys,
    ValveLines,
)
from gateway.config.site import SENSOR_KEYS
from gateway.config.table import unit_of
from gateway.control.config import Config as ControlConfig
from gateway.domain.site import ButtonSpec, MeterSpec, OverridePolicy, SensorSpec, ZoneSpec
from gateway.drivers import sensors
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

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"

_HEAD = "| key | default | unit | meaning |\n|---|---|---|---|"
_INHERITED = {"store.path": "`<state_dir>/reed.sqlite`", "control.socket": "`<runtime_dir>/org.reed.Gateway`"}


def tables() -> dict[str, str]:
    """Return the Markdown table of each part of the configuration."""
    made = {
        "gateway": _table("gateway", GatewayConfig),
        "board linux": _table("board", GpioConfig),
        "board sim": _table("board", SimConfig),
        "bluetooth": _table("bluetooth", BluetoothConfig),
        "serial": _table("serial", SerialConfig),
        "adc": _table("adc", AdcConfig),
        "store": _table("store", StoreConfig, without=("receipts",)),
        "link": _table("link", LinkConfig),
        "identity": _table("identity", IdentityConfig),
        "update": _table("update", UpdateConfig),
        "control": _table("control", ControlConfig),
        "override": _table("override", OverridePolicy),
        "indicator": _table("indicator", IndicatorConfig),
        "zone": _table("zone", ZoneSpec, without=("id",)),
        "valve": _table("valve", ValveKeys) + _table("valve", ValveLines)[len(_HEAD) :],
        "button": _table("button", ButtonLines) + _table("button", ButtonSpec, without=("id",))[len(_HEAD) :],
        "meter": _table("meter", MeterConfig) + _table("meter", MeterSpec, without=("id",))[len(_HEAD) :],
        "flow_rule": _table("flow_rule", FlowRuleKeys),
        "flow templates": _template_table(),
        "sensor": _table(
            "sensor",
            SensorSpec,
            (f"| `kind` | required | | {', '.join(f'`{kind}`' for kind in sensors.kinds())} |",),
            without=[f.name for f in dataclasses.fields(SensorSpec) if f.name not in SENSOR_KEYS],
        ),
    }
    return made | {f"sensor {kind}": _table("sensor", sensors.load(kind).config) for kind in sensors.kinds()}


# Any: dataclasses are walked without knowing them
def _table(
    name: str, cls: type[Any], first: tuple[str, ...] = (), without: tuple[str, ...] | list[str] = ()
) -> str:
    meanings = dict(_meanings(cls))
    hints = get_type_hints(cls)
    rows = [_HEAD, *first]
    for field in dataclasses.fields(cls):
        if field.name in without:
            continue
        default = _INHERITED.get(f"{name}.{field.name}") or _default(field)
        unit = unit_of(field.name) if {int, float} & {hints[field.name], *get_args(hints[field.name])} else ""
        meaning = _meaning(meanings.get(field.name, ""), hints[field.name])
        rows.append(f"| `{field.name}` | {default} | {unit} | {meaning} |")
    return "\n".join(rows)


def _template_table() -> str:
    rows = ["| template | what for | values | where they come from |\n|---|---|---|---|"]
    for name, template in templates().items():
        values = "<br>".join(f"`{key} = {json.dumps(value)}`" for key, value in template["rule"].items())
        rows.append(f"| `{name}` | {template['about']} | {values} | {template['source']} |")
    return "\n".join(rows)


def _meaning(text: str, hint: Any) -> str:  # noqa: ANN401  # an annotation
    choices = _choices(hint)
    listed = " or ".join(f'"{choice}"' for choice in choices)
    missing = [choice for choice in choices if f'"{choice}"' not in text]
    return f"{text} Allowed: {listed}." if missing else text


def _choices(hint: Any) -> list[str]:  # noqa: ANN401  # an annotation
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    if get_origin(hint) in (Union, UnionType):
        return []
    if get_origin(hint) is frozenset:
        return _choices(get_args(hint)[0])
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        return [member.value for member in hint]
    return []


def _default(field: "dataclasses.Field[Any]") -> str:
    if field.default is dataclasses.MISSING:
        return "required"
    match field.default:
        case None:
            return '"off"' if unit_of(field.name) else "-"
        case bool() as flag:
            return str(flag).lower()
        case int() as number:
            return f"{number:_}" if number >= 10_000 else str(number)
        case float() as number:
            return f"{number:g}"
        case tuple() | frozenset() as several:
            listed = sorted(several) if isinstance(several, frozenset) else several
            return json.dumps(listed)
        case value:
            return f'"{value}"'


def _meanings(cls: type[Any]) -> Iterator[tuple[str, str]]:
    _, _, arguments = inspect.cleandoc(cls.__doc__ or "").partition("Args:\n")
    for name, text in re.findall(r"^    (\w+): (.*(?:\n        .*)*)", arguments, re.MULTILINE):
        yield name, " ".join(text.split()).replace("|", "\\|")


def filled(document: str) -> str:
    """Return the document with its tables made anew."""
    for name, table in tables().items():
        begin, end = f"<!-- keys: {name} -->\n", "<!-- end -->"
        head, found, rest = document.partition(begin)
        if not found:
            raise LookupError(f"docs/configuration.md has no place for the keys of {name}")
        document = head + begin + table + "\n" + end + rest.partition(end)[2]
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
