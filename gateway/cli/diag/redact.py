"""Takes what is secret out of a support bundle, twice over.

First by allow-list: of the configuration, only keys that are known, and not those of secrets, keep their
values. Then whatever text comes from elsewhere is searched for those values, and for what looks like a key.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from gateway.config.flow import FlowRuleKeys
from gateway.config.model import ButtonLines, GatewayConfig, IndicatorConfig, ValveKeys, ValveLines
from gateway.config.site import ID, SENSOR_KEYS
from gateway.control.config import Config as ControlConfig
from gateway.domain.site import ButtonSpec, MeterSpec, OverridePolicy, ZoneSpec
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

HIDDEN: Final = "<hidden>"

# Any: a TOML document as it was parsed.
Document: TypeAlias = Mapping[str, Any]

_TABLES: Mapping[str, tuple[type[Any], ...]] = {
    "gateway": (GatewayConfig,),
    "board": (GpioConfig, SimConfig),
    "bluetooth": (BluetoothConfig,),
    "store": (StoreConfig,),
    "link": (LinkConfig,),
    "identity": (IdentityConfig,),
    "control": (ControlConfig,),
    "override": (OverridePolicy,),
    "indicator": (IndicatorConfig,),
}
COLLECTIONS: Mapping[str, tuple[type[Any], ...]] = {
    "sensor": (),
    "zone": (ZoneSpec,),
    "valve": (ValveKeys, ValveLines),
    "button": (ButtonSpec, ButtonLines),
    "meter": (MeterSpec, MeterConfig),
    "flow_rule": (FlowRuleKeys,),
    "serial": (SerialConfig,),
    "adc": (AdcConfig,),
}
_SECRET_KEY = re.compile(r"key|secret|token|pass|pin|psk|auth|credential|private", re.IGNORECASE)
_HARMLESS = {("identity", "key"), ("identity", "allow_software_key")}
_HARMLESS_END = "_file"
"""The path of a file is not what it holds."""

_PLAIN_KEY = re.compile(r"[a-z][a-z_]{0,31}")
_SHORTEST = 6
"""A shorter value would be found everywhere; it is hidden where it stands."""

_LOOKS_SECRET = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)"  # PEM
    r"|(?<![0-9A-Za-z])[0-9A-Fa-f]{32}(?![0-9A-Za-z])"  # the key of a sensor
    r"|[a-z0-9-]{1,63}\.[a-z2-7]{26}\.[A-Za-z0-9_-]{43}"  # an enrolment token
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+",  # a signed command
    re.DOTALL,
)


def configuration(document: Document) -> dict[str, Any]:
    """Return the document with every value hidden that is not known to be harmless."""
    shown: dict[str, Any] = {}
    for name, table in document.items():
        if name in COLLECTIONS and isinstance(table, dict):
            entries = {_id(each): _table(name, entry) for each, entry in table.items()}
            shown[name] = entries
        else:
            shown[_plain(name)] = _table(name, table)
    return shown


def secrets_in(document: Document) -> set[str]:
    """Return every text of the document that `configuration` hides."""
    found = {name for name in document if not _PLAIN_KEY.fullmatch(name)}
    for name, table in document.items():
        is_collection = name in COLLECTIONS and isinstance(table, dict)
        found |= {each for each in table if _id(each) == HIDDEN} if is_collection else set()
        for entry in table.values() if is_collection else [table]:
            found |= set(_hidden_in(name, entry))
    return found


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Return a text without these secrets, and without what looks like one."""
    for secret in sorted((each for each in secrets if len(each) >= _SHORTEST), key=len, reverse=True):
        text = re.sub(re.escape(secret), HIDDEN, text, flags=re.IGNORECASE)
    return _LOOKS_SECRET.sub(HIDDEN, text)


# Any: JSON to be
def scrubbed(value: Any, secrets: Iterable[str]) -> Any:  # noqa: ANN401
    """Return a value of JSON with all its texts scrubbed."""
    match value:
        case str():
            return scrub(value, secrets)
        case list() | tuple():
            return [scrubbed(each, secrets) for each in value]
        case dict():
            return {scrub(str(key), secrets): scrubbed(each, secrets) for key, each in value.items()}
        case _:
            return value


def _table(name: str, table: object) -> object:
    if not isinstance(table, dict):
        return HIDDEN
    known = _known(name, table)
    return {_plain(key): _value(name, key, value, known) for key, value in table.items()}


def _value(name: str, key: str, value: object, known: set[str]) -> object:
    return value if _may_be_shown(name, key, value, known) else HIDDEN


def _may_be_shown(name: str, key: str, value: object, known: set[str]) -> bool:
    if key not in known or isinstance(value, dict):
        return False
    is_list_of_plain = isinstance(value, list) and not any(isinstance(each, dict | list) for each in value)
    if isinstance(value, list) and not is_list_of_plain:
        return False
    if not _SECRET_KEY.search(key) or (name, key) in _HARMLESS or key.endswith(_HARMLESS_END):
        return True
    # a reference says where the secret lies, not what it is
    return isinstance(value, str) and value.startswith("secret:") and not _LOOKS_SECRET.search(value)


def _known(name: str, table: Document) -> set[str]:
    known = {"kind"} if name in ("board", "sensor") else set[str]()
    classes = _TABLES.get(name, ()) + COLLECTIONS.get(name, ())
    if name == "sensor":
        known |= set(SENSOR_KEYS)
        kind = table.get("kind")
        classes = (sensors.load(kind).config,) if isinstance(kind, str) and kind in sensors.kinds() else ()
    return known | {field.name for cls in classes for field in dataclasses.fields(cls)}


def _hidden_in(name: str, table: object) -> Iterator[str]:
    if not isinstance(table, dict):
        yield from _texts(table)
        return
    known = _known(name, table)
    for key, value in table.items():
        if not _may_be_shown(name, key, value, known):
            yield from _texts(value)
        if not _PLAIN_KEY.fullmatch(key):
            yield key


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from _texts(each)
        case list():
            for each in value:
                yield from _texts(each)


def _plain(key: str) -> str:
    """Return a key; what no key looks like may be anything."""
    return key if _PLAIN_KEY.fullmatch(key) else HIDDEN


def _id(name: str) -> str:
    return name if ID.fullmatch(name) and not _LOOKS_SECRET.search(name) else HIDDEN
