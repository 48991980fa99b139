import json
from argparse import Namespace
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.__main__ import main
from gateway.cli.decode import run
from gateway.errors import DecodeError
from tests.fakes.frames import ADDRESS, KEY, bthome_keyed

Command = Callable[..., tuple[int, dict[str, object], list[str]]]
WET_KEYED = "fcd2:" + bthome_keyed(b"\x20\x01", 7).service_data[0xFCD2].hex()


@pytest.fixture
def decode(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command; return its exit status, its JSON object if any, and its lines on stderr."""

    def command(*options: str) -> tuple[int, dict[str, object], list[str]]:
        status = main(["decode", "--mac", ADDRESS, *options])
        output = capsys.readouterr()
        return status, json.loads(output.out or "{}"), output.err.splitlines()

    return command


def test_authentic_frame_is_one_json_object(decode: Command):
    status, reading, errors = decode("--service-data", WET_KEYED, "--key", KEY.hex())

    assert (status, errors) == (0, [])
    assert reading == {
        "address": ADDRESS,
        "format": "bthome-v2",
        "wet": True,
        "authentic": True,
        "counter": 7,
        "battery_percent": None,
        "battery_v": None,
        "battery_low": None,
        "temperature_degc": None,
        "tamper": None,
        "distance_m": None,
        "fault": None,
    }


def test_wrong_key_is_an_answer_and_no_error(decode: Command):
    status, reading, _ = decode("--service-data", WET_KEYED, "--key", "00" * 16)

    assert (status, reading["authentic"], reading["wet"]) == (0, False, None)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--service-data", "FCD2:40 00 09 01 61 20 01"], ("bthome-v2", True, 97, 9)),
        (
            ["--service-data", "0000fcd2-0000-1000-8000-00805f9b34fb:4000090161"],
            ("bthome-v2", None, 97, 9),
        ),
        (
            ["--manufacturer-data", "2409:c43430374c7a4764f9", "--service-data", "0xfd3d:260064"],
            ("switchbot-leak", True, 100, None),
        ),
        (["--manufacturer-data", "0969:c43430374c7a4764f9"], ("switchbot-leak", True, 100, None)),
        (["--manufacturer-data", "0x0969:c43430374c7a4764f9"], ("switchbot-leak", True, 100, None)),
        (
            ["--manufacturer-data", "8201:1580e4000000000000", "--name", "MOCREO"],
            ("mocreo-sw2", False, 100, None),
        ),
        (["--service-data", "fe95:40590f3f010648 0101".replace(" ", "")], ("mibeacon", True, None, 1)),
        (["--service-data", "180f:50", "--service-data", "fcd2:402001"], ("bthome-v2", True, None, None)),
    ],
)
def test_every_format_and_way_to_write_an_id(
    decode: Command, options: list[str], expected: tuple[object, ...]
):
    status, reading, errors = decode(*options)

    assert (status, errors) == (0, [])
    names = ("format", "wet", "battery_percent", "counter")
    assert tuple(reading[name] for name in names) == expected


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "without data"),
        (["--service-data", "180f:50"], "no known sensor format in service data 180F"),
        (["--service-data", "fcd2:4020"], "cut off"),
        (["--service-data", "fcd2"], "not id:hex"),
        (["--service-data", "fcd2:xyz"], "not id:hex"),
        (["--service-data", "fcd2ff:00"], "no 16-bit UUID"),
        (["--manufacturer-data", "99999:00"], "no 16-bit company id"),
        (["--manufacturer-data=-1:00"], "no 16-bit company id"),
        (["--service-data", WET_KEYED], "key is needed"),
        (["--service-data", WET_KEYED, "--key", "12"], "--key: 2 characters"),
        (["--mac", "12:34"], "--mac"),
    ],
)
def test_what_cannot_be_understood_is_one_line_and_65(decode: Command, options: list[str], problem: str):
    status, reading, errors = decode(*options)

    assert (status, reading, len(errors)) == (65, {}, 1)
    assert problem in errors[0]


texts = st.lists(st.text(max_size=40), max_size=3)


@given(texts, texts, st.text(max_size=40), st.sampled_from([ADDRESS, ""]), st.sampled_from([KEY.hex(), ""]))
def test_no_text_in_any_option_raises_anything_but_the_typed_error(
    services: list[str], companies: list[str], text: str, mac: str, key: str
):
    args = Namespace(
        mac=mac or text, service_data=services, manufacturer_data=companies, name=text, key=key or text
    )

    problem = ""
    try:
        run(args)
    except DecodeError as error:
        problem = str(error)

    assert "\n" not in problem
