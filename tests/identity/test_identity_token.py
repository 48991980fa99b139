"""The token: three parts, forgiving of how it was pasted, and telling what is wrong without telling it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import EnrolmentError
from gateway.identity.token import parse

SECRET = "abcdefghijklmnopqrstuvwx27"  # noqa: S105  # a token of tests
PIN = "A-_" + "x" * 40
GOOD = f"hq-01.{SECRET}.{PIN}"


def test_a_token_says_who_how_and_whom_to_trust():
    token = parse(GOOD)

    assert (token.gateway_id, token.secret, token.pin) == ("hq-01", SECRET, PIN)


@pytest.mark.parametrize(
    "pasted",
    [f"  {GOOD}\n", GOOD[:30] + "\n   " + GOOD[30:], f"HQ-01.{SECRET.upper()}.{PIN}"],
    ids=["with space around", "wrapped by a mail", "in capitals"],
)
def test_how_it_was_pasted_does_not_matter(pasted: str):
    assert parse(pasted) == parse(GOOD)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "here is nothing"),
        ("hq-01", "are 1; copy all of it"),
        (f"hq-01.{SECRET}", "are 2"),
        (f"hq-01..{PIN}", "are 2"),
        (f"{GOOD}.more", "are 4"),
        (GOOD[:-3], "its last part has 40 letters, not 43"),
        (f"hq-01.{SECRET[:-1]}.{PIN}", "its middle part has 25 letters, not 26"),
        (f"hq-01.{SECRET[:-1]}0.{PIN}", "has '0' in its middle part, where only a-z and 2-7 stand"),
        (f"hq-01.{SECRET}.{PIN[:-1]}=", "has '=' in its last part"),
        (f"hq_01.{SECRET}.{PIN}", "begins with 'hq_01', which is no gateway's id"),
        (f"{'a' * 64}.{SECRET}.{PIN}", "no gateway's id"),
        (f"\x1b[2J.{SECRET}.{PIN}", r"begins with '\x1b[2j'"),
        (f"hq-ü.{SECRET}.{PIN}", r"'hq-\xfc'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_the_secret(text: str, complaint: str):
    with pytest.raises(EnrolmentError) as raised:
        parse(text)

    said = str(raised.value)
    assert complaint in said
    assert said.isprintable()
    assert SECRET[:20] not in said


@pytest.mark.parametrize("gateway_id", ["a", "-", "a" * 63, "0-9-", "hq--01"])
def test_whatever_may_be_a_gateways_id_may_be_in_a_token(gateway_id: str):
    assert parse(f"{gateway_id}.{SECRET}.{PIN}").gateway_id == gateway_id


def test_a_token_is_never_shown():
    assert SECRET not in repr(parse(GOOD))


@given(st.text(max_size=200) | st.from_regex(r"[a-z0-9-]{1,10}\.[a-z2-7]{20,30}\.[A-Za-z0-9_-]{40,45}"))
def test_any_text_is_a_token_or_one_clear_line(text: str):
    complaint = ""
    try:
        token = parse(text)
        assert parse(f"{token.gateway_id}.{token.secret}.{token.pin}") == token
    except EnrolmentError as error:
        complaint = str(error)
    assert complaint.isprintable()
