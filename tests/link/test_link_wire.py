"""Envelopes and topics."""

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.commands import AnswerRequest
from gateway.domain.model import Channel
from gateway.errors import DecodeError
from gateway.link import envelope, wire

ORIGIN = wire.Origin("house-7", "boot-1", 3)
STAMP = wire.Stamp(12.5, 1.8e9, True)


def test_a_message_survives_the_way():
    payload = wire.encode(ORIGIN, 9, "leak", MappingProxyType({"zone": {"id": "cellar"}}), STAMP)
    message = envelope.decode(payload)

    assert (message.gateway, message.epoch, message.seq, message.kind) == ("house-7", 3, 9, "leak")
    assert message.body == {"zone": {"id": "cellar"}}
    assert (message.mono_s, message.unix_s, message.time_trusted) == (12.5, 1.8e9, True)


def test_unknown_fields_are_ignored_and_unknown_versions_refused():
    message = json.loads(wire.encode(ORIGIN, 1, "x", {}, STAMP))
    newer = json.dumps(message | {"colour": "red"}).encode()
    foreign = json.dumps(message | {"v": 2}).encode()

    assert envelope.decode(newer).seq == 1
    with pytest.raises(DecodeError, match="version 2"):
        envelope.decode(foreign)


@given(st.binary(max_size=200))
def test_garbage_is_a_decode_error(payload: bytes):
    with pytest.raises(DecodeError):
        envelope.decode(payload)


def test_deep_nesting_is_a_decode_error():
    with pytest.raises(DecodeError):
        envelope.decode(b'{"body":' + b"[" * 100_000)


def test_a_body_that_no_broker_takes_is_replaced_by_its_size():
    payload = wire.encode(ORIGIN, 1, "x", {"text": "x" * 200_000}, STAMP)

    assert envelope.decode(payload).body["oversize_bytes"] > 200_000


def test_a_float_without_a_value_becomes_null():
    payload = wire.encode(ORIGIN, 1, "x", {"a": float("nan"), "b": float("inf")}, STAMP)

    assert json.loads(payload)["body"] == {"a": None, "b": None}


def test_a_broken_file_name_in_a_message_cannot_stop_it():
    payload = wire.encode(ORIGIN, 1, "x", {"text": "K\u00fcche \udcff"}, STAMP)

    assert json.loads(payload)["body"] == {"text": "K\u00fcche ?"}
    assert "K\u00fcche".encode() in payload


def test_topics_name_gateway_channel_and_kind():
    assert wire.up_topic("house-7", Channel.TELE) == "reed/v1/house-7/up/tele"
    assert wire.command_topic("house-7", "alarm/ack") == "reed/v1/house-7/cmd/alarm/ack"
    assert wire.command_kind("house-7", "reed/v1/house-7/cmd/alarm/ack") == "alarm/ack"
    assert wire.command_kind("house-7", "reed/v1/house-8/cmd/valve") is None


def test_an_answer_carries_id_state_and_reason():
    assert wire.answer_body(AnswerRequest("abcdefgh", "rejected", "expired", "late")) == {
        "command_id": "abcdefgh",
        "state": "rejected",
        "reason": "expired",
        "detail": "late",
    }
