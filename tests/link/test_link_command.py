"""Commands: who may ask what until when, and that it runs once."""

import asyncio
import contextlib
import json
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.demo import devca
from gateway.cli.demo.cloud import Cloud
from gateway.cli.demo.devca import DevCa
from gateway.domain.events import (
    AcknowledgeRequested,
    ExerciseRequested,
    OccupancyRequested,
    ResetRequested,
    ShelveRequested,
    ValveRequested,
)
from gateway.domain.model import Occupancy, Wish
from gateway.errors import CommandError
from gateway.link import command, inbox
from gateway.link.inbox import Inbox
from gateway.link.keys import CommandKeys
from gateway.link.wire import Stamp
from tests.fakes.outbox import MemoryOutbox
from tests.link.conftest import GATEWAY, Site

NOW = 1_800_000_000.0
STAMP = Stamp(mono_s=500.0, unix_s=NOW, trusted=True, floor_unix_s=NOW - 1e6)
UNTRUSTED = Stamp(mono_s=500.0, unix_s=0.0, trusted=False, floor_unix_s=NOW - 1e6)
CLOSE = {"valve": "main", "wish": "close"}
OPEN = {"valve": "main", "wish": "open"}


def claims(kind: str = "valve", body: object = CLOSE, **changes: object) -> dict[str, object]:
    return {
        "v": 1,
        "id": "command-1",
        "gateway": GATEWAY,
        "kind": kind,
        "issued_at": NOW - 1,
        "not_after": NOW + 60,
        "actor": "alice@example.com",
        "cause": "water on the floor",
        "body": body,
    } | changes


def judged(kind: str = "valve", body: object = CLOSE, stamp: Stamp = STAMP, **changes: object):
    return command.judge(json.dumps(claims(kind, body, **changes)).encode(), GATEWAY, kind, stamp)


def reason(*args: object, **changes: object) -> str:
    with pytest.raises(CommandError) as caught:
        judged(*args, **changes)
    return caught.value.reason


def test_a_command_becomes_a_request_with_actor_cause_and_expiry():
    event = judged(step_up=True, body=OPEN).event

    assert isinstance(event, ValveRequested)
    assert (event.valve_id, event.wish) == ("main", Wish.OPEN)
    assert str(event.request.actor) == "remote:alice@example.com"
    assert (event.request.cause, event.request.may_open) == ("water on the floor", True)
    assert event.request.expires_s == 560.0


@pytest.mark.parametrize(
    ("kind", "body", "event_type"),
    [
        ("alarm/ack", {"alarm_id": "leak/zone/cellar"}, AcknowledgeRequested),
        ("alarm/reset", {"alarm_id": "leak/zone/cellar"}, ResetRequested),
        ("alarm/shelve", {"alarm_id": "leak/zone/cellar", "duration_s": 60}, ShelveRequested),
        ("valve/exercise", {"valve": "main"}, ExerciseRequested),
        ("occupancy", {"mode": "unoccupied"}, OccupancyRequested),
        ("ping", {}, type(None)),
    ],
)
def test_every_kind_has_its_event(kind: str, body: dict[str, object], event_type: type):
    assert isinstance(judged(kind, body).event, event_type)


def test_how_the_building_is_used_is_told_with_who_said_so():
    event = judged("occupancy", {"mode": "maintenance"}).event

    assert isinstance(event, OccupancyRequested)
    assert (event.mode, str(event.request.actor)) == (Occupancy.MAINTENANCE, "remote:alice@example.com")


def test_unknown_fields_are_ignored():
    assert judged(colour="red", body={**CLOSE, "speed": 3}).closes


def test_what_must_not_be_executed_has_a_reason():
    assert reason(v=2) == "unsupported_version"
    assert reason(gateway="house-8") == "wrong_gateway"
    assert reason("coffee", {}) == "unknown_kind"
    assert reason(body={"valve": "main", "wish": "lockout"}) == "bad_request"
    assert reason(body={"valve": "main"}) == "bad_request"
    assert reason(body=[]) == "bad_request"
    assert reason("occupancy", {"mode": "asleep"}) == "bad_request"
    assert reason(id="short") == "bad_request"
    assert reason(id="local-12345678") == "bad_request"
    assert reason(actor="") == "bad_request"
    assert reason(not_after=NOW - 0.1) == "expired"
    assert reason(issued_at=NOW + 61, not_after=NOW + 90) == "not_yet_valid"
    assert reason(not_after=NOW + 90_000) == "bad_request"
    assert reason(not_after=NOW - 5, issued_at=NOW) == "bad_request"


def test_a_command_signed_for_another_topic_is_refused():
    signed = json.dumps(claims("ping", {})).encode()

    with pytest.raises(CommandError, match="kind_mismatch"):
        command.judge(signed, GATEWAY, "valve", STAMP)


def test_without_the_time_only_what_does_no_harm_is_let_through():
    old = {"issued_at": NOW - 86400 * 3, "not_after": NOW - 86400 * 3 + 60}

    assert judged(stamp=UNTRUSTED, **old).closes
    assert judged("ping", {}, UNTRUSTED, **old)
    assert judged("alarm/ack", {"alarm_id": "x"}, UNTRUSTED, **old)
    assert reason(body=OPEN, stamp=UNTRUSTED) == "clock_untrusted"
    assert reason("alarm/reset", {"alarm_id": "x"}, UNTRUSTED) == "clock_untrusted"


def test_without_the_time_what_is_older_than_the_floor_is_expired():
    assert reason(stamp=UNTRUSTED, issued_at=NOW - 2e6, not_after=NOW - 2e6 + 60) == "expired"


@given(st.binary(max_size=300))
def test_signed_garbage_is_a_bad_request(signed: bytes):
    for judge in (
        lambda: command.judge(signed, GATEWAY, "valve", STAMP),
        lambda: command.receipt(signed, GATEWAY),
    ):
        with pytest.raises(CommandError):
            judge()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            key: st.one_of(st.none(), st.integers(), st.floats(), st.text(), st.booleans(), st.just({}))
            for key in claims()
        },
    )
)
def test_no_claims_raise_anything_but_a_command_error(changes: dict[str, object]):
    with contextlib.suppress(CommandError):
        judged(**changes)


# --- signature and inbox ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory):
    return devca.ensure(tmp_path_factory.mktemp("ca"), GATEWAY)


@pytest.fixture
async def cloud(ca: DevCa):
    return Cloud(ca.cloud, "127.0.0.1", 1)


@pytest.fixture
async def keys(ca: DevCa):
    return CommandKeys(ca.command_key_file)


@pytest.fixture
async def inbox_at(site: Site, keys: CommandKeys):
    return Inbox(site.host, keys)


def answers(site: Site) -> list[tuple[str, str]]:
    bodies = [json.loads(row.payload)["body"] for row in site.outbox.rows.values()]
    return [(body["state"], body["reason"]) for body in bodies if "command_id" in body]


async def test_a_good_command_is_answered_and_handed_to_the_core(site: Site, inbox_at: Inbox, cloud: Cloud):
    await inbox_at.take("valve", cloud.sign(cloud.claims("valve", CLOSE)))

    assert answers(site) == [("received", "")]
    assert [type(event) for event in site.requests] == [ValveRequested]


async def test_a_ping_is_answered_by_the_link_itself(site: Site, inbox_at: Inbox, cloud: Cloud):
    await inbox_at.take("ping", cloud.sign(cloud.claims("ping", {})))

    assert answers(site) == [("received", ""), ("succeeded", "")]
    assert site.requests == []


async def test_a_replayed_command_runs_once(site: Site, inbox_at: Inbox, cloud: Cloud):
    token = cloud.sign(cloud.claims("valve", CLOSE))
    for _ in range(3):
        await inbox_at.take("valve", token)

    assert len(site.requests) == 1
    assert answers(site) == [("received", ""), ("rejected", "duplicate"), ("rejected", "duplicate")]


async def test_a_replay_after_a_restart_runs_no_second_time(site: Site, keys: CommandKeys, cloud: Cloud):
    token = cloud.sign(cloud.claims("valve", CLOSE))
    await Inbox(site.host, keys).take("valve", token)
    await Inbox(site.host, keys).take("valve", token)

    assert len(site.requests) == 1


async def test_a_flood_of_replays_does_not_fill_the_outbox(site: Site, inbox_at: Inbox, cloud: Cloud):
    token = cloud.sign(cloud.claims("valve", CLOSE, not_after=time.time() - 1, issued_at=time.time() - 9))
    for _ in range(300):
        await inbox_at.take("valve", token)

    assert inbox_at.refused["expired"] == 300
    assert len(site.outbox.rows) <= 25


async def test_what_the_cloud_did_not_sign_is_counted_reported_once_and_not_answered(
    site: Site, inbox_at: Inbox, cloud: Cloud
):
    stranger = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    good = cloud.sign(cloud.claims("valve", OPEN, step_up=True))
    tampered = good[:-8] + b"AAAAAAAA"
    for token in (
        b"",
        b"garbage",
        b"\xff\xfe.\x00.x",
        b"e30.e30.",
        tampered,
        cloud.sign(cloud.claims("valve", OPEN), stranger),
    ):
        await inbox_at.take("valve", token)

    assert site.requests == []
    assert inbox_at.refused == {"bad_signature": 6}
    assert [json.loads(row.payload)["kind"] for row in site.outbox.rows.values()] == ["commands-refused"]


async def test_other_algorithms_are_no_signature(site: Site, inbox_at: Inbox, cloud: Cloud, ca: DevCa):
    payload = json.dumps(cloud.claims("valve", OPEN, step_up=True)).encode()
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    unsigned = jwt.PyJWS().encode(payload, "", algorithm="none").encode()
    rs256 = jwt.PyJWS().encode(payload, rsa_key, algorithm="RS256").encode()
    header = jwt.utils.base64url_encode(b'{"alg":"HS256"}')
    body = jwt.utils.base64url_encode(payload)
    confused = header + b"." + body + b"." + jwt.utils.base64url_encode(ca.command_key_file.read_bytes()[:32])
    for token in (unsigned, rs256, confused):
        await inbox_at.take("valve", token)

    assert inbox_at.refused == {"bad_signature": 3}


async def test_a_retained_message_is_no_command(site: Site, inbox_at: Inbox, cloud: Cloud):
    await inbox_at.take("valve", cloud.sign(cloud.claims("valve", CLOSE)), retained=True)

    assert inbox_at.refused == {"retained": 1}
    assert site.requests == []


async def test_a_close_runs_even_if_the_disk_cannot_remember_it_and_an_open_does_not(
    site: Site, inbox_at: Inbox, cloud: Cloud
):
    site.outbox.disk_works = False
    await inbox_at.take("valve", cloud.sign(cloud.claims("valve", CLOSE)))
    await inbox_at.take("valve", cloud.sign(cloud.claims("valve", OPEN, step_up=True)))

    assert [event.wish for event in site.requests] == [Wish.CLOSE]
    assert ("rejected", "store_unavailable") in answers(site)


async def test_a_close_does_not_wait_for_a_stalled_disk(
    site: Site, inbox_at: Inbox, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(inbox, "CLAIM_WAIT_S", 0.05)
    site.outbox.claims_stall = True
    async with asyncio.timeout(10):
        await inbox_at.take("valve", cloud.sign(cloud.claims("valve", CLOSE)))

    assert len(site.requests) == 1


async def test_a_receipt_is_returned_only_if_it_is_ours_and_signed(inbox_at: Inbox, cloud: Cloud):
    told = {"v": 1, "gateway": GATEWAY, "epoch": 3, "through": 7, "also": [[9, 11]]}

    assert (await inbox_at.take("receipt", cloud.sign(told))).also == [(9, 11)]
    assert await inbox_at.take("receipt", json.dumps(told).encode()) is None
    assert await inbox_at.take("receipt", cloud.sign(told | {"gateway": "house-8"})) is None
    assert await inbox_at.take("receipt", cloud.sign(told | {"v": 2})) is None


async def test_a_second_key_in_the_file_is_as_good_while_keys_change(ca: DevCa, cloud: Cloud, tmp_path: Path):
    other = devca.ensure(tmp_path / "other", GATEWAY)
    both = tmp_path / "both.pem"
    both.write_bytes(other.command_key_file.read_bytes() + ca.command_key_file.read_bytes())

    assert await CommandKeys(both).payload(cloud.sign({"a": 1})) == b'{"a": 1}'


@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"-----END PUBLIC KEY-----"])
async def test_an_unusable_key_file_is_named(tmp_path: Path, content: bytes | None):
    path = tmp_path / "command.pub.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CommandError, match=r"no_command_key.*command\.pub\.pem"):
        await CommandKeys(path).payload(b"x")


async def test_a_key_of_another_curve_is_refused(tmp_path: Path):
    path = tmp_path / "command.pub.pem"
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    path.write_bytes(
        key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )

    with pytest.raises(CommandError, match="P-256"):
        await CommandKeys(path).payload(b"x")


@settings(max_examples=50)
@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzABC0123456789-_.{}", max_size=200))
def test_no_token_raises_anything_but_a_command_error(ca: DevCa, token: str):
    async def look() -> None:
        with pytest.raises(CommandError):
            await CommandKeys(ca.command_key_file).payload(token.encode())

    asyncio.run(look())


def test_the_outbox_model_promises_what_the_store_does():
    async def story() -> list[bool]:
        outbox = MemoryOutbox()
        return [await outbox.claim("a", 0), await outbox.claim("a", 0)]

    assert asyncio.run(story()) == [True, False]
