"""docs/protocol.md and protocol/: the examples are valid, and the gateway says what they say."""

import json
import re
import typing
from functools import cache
from pathlib import Path

import jsonschema
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from jwt import PyJWS
from referencing import Registry, Resource

from gateway.domain.alarm.state import Alarm, body
from gateway.domain.commands import AnswerRequest, Publish
from gateway.domain.core import Core
from gateway.domain.effects import Raise
from gateway.domain.events import (
    DeadlinePassed,
    MeterPulsed,
    OccupancyRequested,
    SensorRead,
    TimeTold,
    ValveFound,
)
from gateway.domain.model import (
    SYSTEM,
    Actor,
    ActorKind,
    Channel,
    Coil,
    Occupancy,
    Reading,
    Request,
    SignalClass,
)
from gateway.domain.site import (
    FlowRuleSpec,
    MeterSpec,
    Period,
    SensorSpec,
    Site,
    ValveKind,
    ValveSpec,
    ZoneSpec,
)
from gateway.domain.update.words import Code, State, Step
from gateway.errors import CommandError
from gateway.link import command, envelope, snapshot, wire

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "protocol.md").read_text()
FENCE = re.compile(r"^```(\w+)(?: ([\w-]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall(DOC)
EXAMPLES = [(name, json.loads(text)) for language, name, text in BLOCKS if language == "json"]
SCHEMAS = {path.name: json.loads(path.read_text()) for path in sorted((ROOT / "protocol").glob("*.json"))}
STAMP = wire.Stamp(mono_s=1.0, unix_s=1_795_386_010.0, trusted=True)


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    registry: Registry = Registry().with_resources(
        (file, Resource.from_contents(schema)) for file, schema in SCHEMAS.items()
    )
    return jsonschema.Draft202012Validator(SCHEMAS[f"{name}.schema.json"], registry=registry)


def is_valid(name: str, value: object) -> None:
    validator(name).validate(value)


def sent(channel_kind: str, content: dict, seq: int | None = 1) -> None:
    origin = wire.Origin("house-7", "boot", 1)
    is_valid("envelope", json.loads(wire.encode(origin, seq, channel_kind, content, STAMP)))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name: str):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_example_is_valid(name: str, example: dict[str, object]):
    is_valid(name, example)


def test_every_schema_of_a_message_has_an_example():
    kinds = {example["kind"] for name, example in EXAMPLES if name == "envelope"}
    names = {name.removesuffix(".schema.json") for name in SCHEMAS}

    assert names - kinds - {name for name, _ in EXAMPLES} == {"oversize"}


def test_every_message_example_is_read_by_our_own_decoder():
    for name, example in EXAMPLES:
        if name == "envelope":
            assert envelope.decode(json.dumps(example).encode()).kind == example["kind"]


def test_every_command_example_is_one_that_the_gateway_takes():
    examples = [example for name, example in EXAMPLES if name == "command"]
    for example in examples:
        now = wire.Stamp(1.0, example["issued_at"] + 1, True)
        taken = command.judge(json.dumps(example).encode(), "house-7", example["kind"], now)
        assert taken.id == example["id"]


def test_every_command_kind_and_every_reason_of_the_link_is_in_the_document():
    sources = [ROOT / "gateway" / "link" / name for name in ("command.py", "inbox.py")]
    reasons = {r for path in sources for r in re.findall(r'CommandError\(\s*"(\w+)"', path.read_text())}
    unsigned = {"retained", "too_large"}

    assert all(f"`{kind}`" in DOC for kind in command._BODIES)
    assert all(f"`{reason}`" in DOC for reason in reasons - unsigned)


def test_every_state_and_code_of_an_update_is_in_the_document_and_the_schema():
    updates = DOC.partition("## 8. Updates")[2]
    schema = SCHEMAS["update.schema.json"]["properties"]

    assert [word for word in (*State, *Code) if f"`{word}`" not in updates] == []
    assert set(schema["state"]["enum"]) == {*State}
    assert set(schema["code"]["enum"]) == {"", *Code}
    assert set(schema["waits_for"]["enum"]) == {"", *Step}
    assert set(SCHEMAS["snapshot.schema.json"]["properties"]["update"]["properties"]["state"]["enum"]) == {
        "none",
        *State,
    }


def test_every_reason_of_the_domain_is_in_the_document():
    found = set()
    for path in (ROOT / "gateway" / "domain").rglob("*.py"):
        text = path.read_text()
        found |= set(re.findall(r'_?rejected\((?:event\.)?request, "(\w+)"', text))
        found |= set(re.findall(r'_answer_pending\("failed", "(\w+)"', text))
        found |= set(re.findall(r'return "(\w+)", "', text))

    assert found
    assert [reason for reason in sorted(found) if f"`{reason}`" not in DOC] == []


def test_every_kind_that_the_code_publishes_has_a_schema():
    pattern = re.compile(r'Publish\(\s*Channel\.\w+(?: if .*? else Channel\.\w+)?,\s*"([\w-]+)"')
    published = {
        kind for path in (ROOT / "gateway").rglob("*.py") for kind in pattern.findall(path.read_text())
    }

    assert {"alarm", "valve", "sensor"} <= published
    assert [kind for kind in sorted(published) if f"{kind}.schema.json" not in SCHEMAS] == []


def test_the_signed_example_verifies_with_the_key_beside_it():
    (token,) = [text.strip() for language, _, text in BLOCKS if language == "jws"]
    (pem,) = [text for language, _, text in BLOCKS if language == "pem"]
    key = serialization.load_pem_public_key(pem.encode())
    first = next(example for name, example in EXAMPLES if name == "command")

    assert json.loads(PyJWS().decode(token, key, algorithms=["ES256"])) == first


# --- what the gateway really says -------------------------------------------------------------------


def test_real_alarm_answer_gap_restart_and_status_messages_are_valid():
    condition = Raise("leak", "zone/cellar", SignalClass.ALARM, "wet: a", latched=True, correlation_id="1-1")
    alarm = Alarm(condition, active=True, latched=True, acknowledged=False, raised_s=1.0)
    sent("alarm", body(alarm, SYSTEM))
    sent("answer", wire.answer_body(AnswerRequest("abcdefgh", "rejected", "expired", "late")))
    sent("gap", wire.gap_body("evicted", "full", [(Channel.TELE, 1, 1, 9)]))
    sent("restarted", wire.restarted_body(3, 99))
    sent("status", wire.status_body(online=True, session=5, reason="connected"), None)


def test_a_real_leak_tells_only_valid_messages_and_a_valid_snapshot():
    zone = ZoneSpec(id="cellar", sensors=("a",), confirm_s=0.0)
    core = Core(Site(sensors={"a": SensorSpec(id="a", kind="contact")}, zones={"cellar": zone}))
    said = core.start({}, [], 0.0)
    for now_s, wet in ((1.0, False), (2.0, True), (3.0, False)):
        reading = Reading("contact", wet=wet, battery_percent=50, distance_m=12.3 if wet else None)
        said += core.handle(SensorRead("a", reading), now_s)
    for message in said:
        if isinstance(message, Publish):
            sent(message.kind, dict(message.body))
    for part in snapshot.parts(core.view(4.0)):
        sent("snapshot", part, None)

    assert {m.kind for m in said if isinstance(m, Publish)} >= {"alarm", "sensor"}


def test_real_water_tells_only_valid_messages_and_a_valid_snapshot():
    valve = ValveSpec(id="main", kind=ValveKind.SPRING_RETURN, travel_s=4.0)
    meter = MeterSpec(id="street", litres_per_pulse=1.0, valves=("main",))
    night = Period(start_min=1320, end_min=360)
    rule = FlowRuleSpec(id="night", meter="street", above_l_per_min=2.0, for_s=60.0, periods=(night,))
    core = Core(Site(valves={"main": valve}, meters={"street": meter}, flow_rules={"night": rule}))
    said = core.start({}, [ValveFound("main", {Coil.OPEN: True}, {})], 0.0)
    request = Request("r-1", Actor(ActorKind.LOCAL, "alice"), cause="closed over Christmas")
    said += core.handle(OccupancyRequested(Occupancy.UNOCCUPIED, request), 1.0)
    for minute in range(24 * 60):
        now_s = 60.0 * minute
        said += core.handle(TimeTold(1_796_601_600.0 + now_s, minute, True), now_s)
        for second in range(2, 60, 6) if minute >= 1380 and minute % 2 else ():
            said += core.handle(MeterPulsed("street"), now_s + second)
        while (deadline_s := core.next_deadline_s()) is not None and deadline_s < now_s + 60:
            said += core.handle(DeadlinePassed(), max(deadline_s, now_s + 56))

    messages = [message for message in said if isinstance(message, Publish)]
    for message in messages:
        sent(message.kind, dict(message.body))
    for part in snapshot.parts(core.view(86400.0)):
        sent("snapshot", part, None)
    assert {message.kind for message in messages} >= {"water", "flow", "occupancy"}


@given(st.dictionaries(st.sampled_from(["v", "id", "gateway", "kind", "actor", "body"]), st.text(max_size=9)))
def test_what_the_schema_of_commands_refuses_the_gateway_refuses_too(changes: dict[str, object]):
    example = typing.cast("dict", next(e for name, e in EXAMPLES if name == "command")) | changes
    try:
        command.judge(json.dumps(example).encode(), "house-7", example["kind"], STAMP)
    except CommandError:
        return
    is_valid("command", example)
