"""What a sound configuration becomes, and what is said of an unsound one."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.check import warnings
from gateway.config.read import MAX_BYTES, read
from gateway.domain.site import Action, OnDaemonLoss, ValveKind
from gateway.drivers.sensors import contact
from gateway.errors import ConfigError

Write: TypeAlias = Callable[..., Path]
Problems: TypeAlias = Callable[[Path], dict[str, str]]


def test_sound_configuration_becomes_the_site(write: Write):
    config = read(write())

    assert config.site.zones["plant-room"].quorum == 2
    assert config.site.zones["plant-room"].action is Action.CLOSE
    assert config.site.valves["main"].kind is ValveKind.MOTORISED
    assert config.site.valves["main"].end_switches == frozenset({"closed"})
    assert config.site.valves["kitchen"].on_daemon_loss is OnDaemonLoss.CLOSE
    assert config.site.buttons["lobby"].valves == ("main",)
    assert config.sensors["cellar"].config == contact.Config(line="leak-1")
    assert config.link is None


def test_sensor_with_a_deadline_counts_as_supervised(write: Write):
    sensors = read(write()).site.sensors

    assert (sensors["roof"].supervised, sensors["roof"].silence_s) == (True, 3600.0)
    assert (sensors["cellar"].supervised, sensors["cellar"].silence_s) == (False, None)


RADIO = '\n[sensor.{}]\nkind = "switchbot"\naddress = "{}"\n'
ROPE = '\n[sensor.{}]\nkind = "modbus"\nport = "ropes"\nunit = {}\nprofile = "veris-ldra6"\nzone = {}\n'
PORT = '\n[serial.ropes]\ndevice = "ttyUSB0"\n'


def added(write: Write, text: str) -> Path:
    path = write()
    path.write_text(path.read_text() + text)
    return path


def test_two_sensors_that_are_one_device_are_a_table_copied_and_not_changed(write: Write, problems: Problems):
    radios = RADIO.format("a", "54:48:E6:8F:00:03") + RADIO.format("b", "54-48-e6-8f-00-03")
    ropes = PORT + ROPE.format("c", 2, 1) + ROPE.format("d", 2, 1)

    told = problems(added(write, radios + ropes))

    assert told["sensor.b.address"] == '"54-48-e6-8f-00-03" is sensor.a already'
    assert told["sensor.d.unit"] == "2 is sensor.c already"


def test_zones_of_one_controller_are_several_sensors(write: Write):
    config = read(added(write, PORT + ROPE.format("c", 2, 1) + ROPE.format("d", 2, 2)))

    assert {"c", "d"} <= set(config.sensors)


def test_off_switches_a_deadline_off(write: Write):
    config = read(write(("silence_s = 3600", 'silence_s = "off"')))

    assert config.site.sensors["roof"].silence_s is None
    assert not config.site.sensors["roof"].supervised


def test_relative_paths_start_at_the_file(write: Write, tmp_path: Path):
    config = read(write())

    assert config.gateway.state_dir == tmp_path / "state"
    assert config.store.path == tmp_path / "state" / "reed.sqlite"
    assert config.control.socket == tmp_path / "run" / "org.reed.Gateway"
    assert config.board.socket == tmp_path / "building.sock"


def test_all_problems_are_named_at_once(write: Write, problems: Problems):
    path = write(
        ('id = "house-7"', 'id = "House 7"'),
        ('kind = "spring_return"', 'kind = "spring"'),
        ("quorum = 2", "quorum = 3"),
        ("silence_s = 3600", "silence_s = -1"),
    )

    assert set(problems(path)) == {
        "gateway.id",
        "valve.kitchen.kind",
        "zone.plant-room.quorum",
        "sensor.roof.silence_s",
    }


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        (("quorum = 2", "quorom = 2"), "zone.plant-room.quorom", 'did you mean "quorum"?'),
        (("[indicator]", "[indicater]"), "indicater", 'did you mean "indicator"?'),
        (('line = "leak-1"', 'lin = "leak-1"'), "sensor.cellar.line", "missing; give a string"),
        (('kind = "sim"', 'kind = "pi"'), "board.kind", 'give "linux" or "sim"'),
        (('kind = "sim"\n', ""), "board.kind", 'missing; give "linux" or "sim"'),
        (('id = "house-7"', ""), "gateway.id", "missing"),
        (("house-7", "h" * 64), "gateway.id", "1 to 63 of a-z, 0-9 and -"),
        (("house-7", "House-7"), "gateway.id", "1 to 63 of a-z, 0-9 and -"),
        (("[zone.plant-room]", '[zone."Plant room"]'), 'zone."Plant room"', "1 to 64 of a-z"),
        (('["cellar", "roof"]', '["celar", "roof"]'), "zone.plant-room.sensors", 'did you mean "cellar"?'),
        (('["cellar", "roof"]', '["roof", "roof"]'), "zone.plant-room.sensors", "each once"),
        (('["cellar", "roof"]', "[]"), "zone.plant-room.sensors", "at least one sensor"),
        (('["cellar", "roof"]', '"cellar"'), "zone.plant-room.sensors", "a list of strings"),
        (('valves = ["main"]\nquorum', "quorum"), "zone.plant-room.valves", 'action = "notify"'),
        (
            ('"lobby-button"\nvalves = ["main"]', '"b"\nvalves = ["mian"]'),
            "button.lobby.valves",
            "no [valve.mian]",
        ),
        (('line = "leak-2"', 'line = "leak-1"'), "sensor.roof.line", "already used by sensor.cellar.line"),
        (('led_line = "led"', 'led_line = "main-open"'), "indicator.led_line", "already used by valve.main"),
        (('close_line = "main-close"', ""), "valve.main.close_line", "a motorised valve needs one"),
        (
            ('"kitchen-open"', '"k"\nclose_line = "k2"'),
            "valve.kitchen.close_line",
            "a spring_return valve has none",
        ),
        (('"main-close"', '"c"\nmax_run_s = 5'), "valve.main.max_run_s", "more than travel_s = 10"),
        (('"main-close"', '"c"\npulse_s = 2.0'), "valve.main.pulse_s", "at most 1"),
        (
            ('"main-close"', '"c"\non_daemon_loss = "close"'),
            "valve.main.on_daemon_loss",
            "needs a spring_return",
        ),
        (('"main-close"', '"c"\ntravel_s = nan'), "valve.main.travel_s", "give a number (seconds)"),
        (('"main-close"', '"c"\ntravel_s = true'), "valve.main.travel_s", "true is not allowed"),
        (('"main-close"', '"c"\ntravel_s = "10"'), "valve.main.travel_s", '"10" is not allowed'),
        (('kind = "contact"\nline = "leak-1"', 'kind = "contat"'), "sensor.cellar.kind", '"contact"?'),
        (('kind = "contact"\nline = "leak-1"', "kind = 7"), "sensor.cellar.kind", "7 is not allowed"),
        (("silence_s = 3600", "silence_s = 0"), "sensor.roof.silence_s", "more than 0"),
        (("silence_s = 3600", "battery_low_percent = 101"), "sensor.roof.battery_low_percent", "0 to 100"),
        (('line = "leak-2"', 'line = ""'), "sensor.roof.line", "empty"),
    ],
)
def test_problem_names_the_key_and_what_is_allowed(
    write: Write, problems: Problems, change: tuple[str, str], key: str, says: str
):
    found = problems(write(change))

    assert says in found[key]


def test_a_line_has_one_use_under_its_name_and_its_number(write: Write, problems: Problems):
    more = '\n[button.hall]\nline = "17"\n\n[button.roof]\nline = "GPIO17"\n'

    found = problems(write(more=more))

    assert "already used by button.hall.line" in found["button.roof.line"]


def test_a_channel_of_a_converter_has_one_use(write: Write, problems: Problems):
    more = "".join(
        f'\n[sensor.loop-{name}]\nkind = "loop"\nadc = "main"\nchannel = 3\n' for name in ("a", "b")
    )

    found = problems(write(more=more))

    assert "already used by sensor.loop-a.channel" in found["sensor.loop-b.channel"]


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('[serial.%s]\ndevice = "/dev/ttyUSB0"\n', "serial.b.device"),
        ('[adc.%s]\nkind = "mcp3008"\ndevice = "/dev/spidev0.0"\n', "adc.b.device"),
        ('[adc.%s]\nkind = "ads1115"\ndevice = "/dev/i2c-1"\n', "adc.b.device"),
    ],
)
def test_two_tables_cannot_have_one_device(write: Write, problems: Problems, table: str, key: str):
    found = problems(write(more="\n" + table % "a" + table % "b"))

    assert "already used by" in found[key]


@pytest.mark.parametrize("channel", [3, 4])
def test_loop_needs_an_input_that_its_converter_has_free(write: Write, problems: Problems, channel: int):
    adc = '\n[adc.a]\nkind = "ads1115"\ndevice = "/dev/i2c-1"\nsupply_channel = 3\n'
    loop = f'[sensor.loop]\nkind = "loop"\nadc = "a"\nchannel = {channel}\n'

    found = problems(write(more=adc + loop))

    assert found["sensor.loop.channel"] == f"{channel} is not allowed; free are 0, 1, 2"


def test_presses_that_cannot_be_told_apart_are_refused(write: Write, problems: Problems):
    found = problems(write(more="\n[override]\nshort_max_s = 5\ntimed_s = 0\n"))

    assert "more than short_max_s = 5" in found["override.long_s"]
    assert "more than 0" in found["override.timed_s"]


def test_table_in_place_of_a_value_is_one_clear_problem(write: Write, problems: Problems):
    found = problems(write(text='gateway = 3\n[board]\nkind = "sim"\nsocket = "s"\n[zone]\nx = 1\n'))

    assert "it is a table: [gateway]" in found["gateway"]
    assert "it is a table: [zone.x]" in found["zone.x"]


def test_missing_certificates_are_named(write: Write, problems: Problems):
    link = '\n[link]\nhost = "broker"\nca_file = "ca.pem"\ncert_file = "c.pem"\nkey_file = "k.pem"\n'

    found = problems(write(more=link))

    assert {"link.ca_file", "link.cert_file", "link.key_file"} == {*found}
    assert "cannot read" in found["link.ca_file"]


def test_a_certificate_of_ones_own_needs_everything_that_an_enrolment_would_bring(
    write: Write, problems: Problems, tmp_path: Path
):
    (tmp_path / "c.pem").write_text("x")

    found = problems(write(more='\n[link]\ncert_file = "c.pem"\n'))

    keys = {"link.host", "link.ca_file", "link.key_file", "link.command_key_file"}
    assert {*found} == keys
    assert all("missing" in problem for problem in found.values())


def test_an_enrolled_gateway_needs_no_more_than_an_empty_table(write: Write):
    config = read(write(more="\n[link]\n"))

    assert config.link is not None
    assert not config.link.has_own_pair
    assert config.gateway.identity_dir == config.gateway.state_dir / "identity"


def test_a_port_without_a_host_is_no_broker(write: Write, problems: Problems):
    found = problems(write(more="\n[link]\nport = 8884\n"))

    assert "link.host" in found["link.port"]


def test_a_software_key_must_be_allowed(write: Write, problems: Problems):
    found = problems(write(more='\n[identity]\nkey = "software"\n'))

    assert "allow_software_key" in found["identity.key"]


def test_receipts_of_the_link_hold_for_the_store(write: Write, tmp_path: Path):
    files = ("ca_file", "cert_file", "key_file", "command_key_file")
    for name in files:
        (tmp_path / f"{name}.pem").write_text("x")
    keys = "\n".join(f'{name} = "{name}.pem"' for name in files)

    config = read(write(more=f'\n[link]\nhost = "broker"\nreceipts = "broker"\n{keys}\n'))

    assert config.link is not None
    assert (config.link.receipts, config.store.receipts) == ("broker", "broker")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[gateway", "is not TOML"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"a = " + b"[" * 100_000, "is nested too deeply"),
        (b"[gateway]\nid" + b".a" * 5000 + b" = 1", "is nested too deeply"),
        (b"[gateway]\ncloud_loss_s = 1" + b"0" * 400, "more than 64 bits"),
        (b"[gateway]\ncloud_loss_s = 1" + b"0" * 5000, "more than 64 bits"),
        (b"[sensor.a]\nadc = 'a'\nchannel = [0x" + b"f" * 5000 + b"]", "more than 64 bits"),
        (b"# " + b"x" * MAX_BYTES, "is larger than"),
    ],
)
def test_file_that_is_no_configuration_is_one_clear_problem(
    tmp_path: Path, problems: Problems, content: bytes, says: str
):
    path = tmp_path / "gateway.toml"
    path.write_bytes(content)

    assert says in problems(path)[str(path)]


def test_missing_file_is_one_clear_problem(tmp_path: Path, problems: Problems):
    path = tmp_path / "none.toml"

    assert "No such file" in problems(path)[str(path)]


def test_folder_or_device_instead_of_a_file_is_one_clear_problem(tmp_path: Path, problems: Problems):
    assert "cannot be read" in problems(tmp_path)[str(tmp_path)]
    assert "larger than" in problems(Path("/dev/zero"))["/dev/zero"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "gateway",
                        "board",
                        "sensor",
                        "zone",
                        "valve",
                        "button",
                        "link",
                        "id",
                        "kind",
                        "line",
                        "x",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_content_raises_anything_but_config_error(tmp_path: Path, document: object):
    path = tmp_path / "gateway.toml"
    path.write_text("\n".join(_toml(document)), encoding="utf-8")

    with pytest.raises(ConfigError):
        read(path)


def _toml(document: object) -> list[str]:
    if not isinstance(document, dict):
        return [f"x = {_value(document)}"]
    return [f"{key} = {_value(value)}" for key, value in document.items()]


def _value(value: object) -> str:
    match value:
        case None:
            return '"off"'
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case str():
            return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
        case _:
            return repr(value)


def test_notes_name_what_is_hardly_meant(write: Write):
    config = read(write(("[button.lobby]\n", ""), ('line = "lobby-button"\nvalves = ["main"]\n', "")))

    notes = "\n".join(warnings(config))

    assert "valve.kitchen: in no zone" in notes
    assert "button: there is none" in notes
    assert "link: absent" in notes


def test_sensor_keys_that_everybody_can_read_are_noted(write: Write):
    keyed = '\n[sensor.cloak]\nkind = "bthome"\naddress = "54:48:E6:8F:80:A5"\nkey = "' + "ab" * 16 + '"\n'
    path = write(more=keyed)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IROTH)

    assert any("everybody can read it" in note for note in warnings(read(path)))

    path.chmod(0o600)
    assert not any("everybody can read it" in note for note in warnings(read(path)))
