"""`reed-gateway enrol`: by hand and from a file at boot, against a model of the cloud over real TLS."""

import json
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.__main__ import main
from gateway.app import clock as app_clock
from gateway.identity import provisioning
from gateway.identity.slots import Slots
from tests.fakes import est_cloud
from tests.fakes.est_cloud import Cloud
from tests.fakes.gateway import FakeGateway, served
from tests.fakes.terminal import Terminal

ID = "hq-01"
CONFIG = """\
[gateway]
id = "hq-01"
state_dir = "state"
runtime_dir = "run"
[board]
kind = "sim"
socket = "building.sock"
[link]
[identity]
key = "software"
allow_software_key = true
"""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with est_cloud.served(est_cloud.cloud(tmp_path / "cloud")) as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REED_SOCKET", str(tmp_path / "nobody"))
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def card(tmp_path: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The boot partition, with a provisioning file on it."""
    folder = tmp_path / "boot"
    folder.mkdir()
    path = folder / "reed-enrol.toml"
    path.write_text(f'url = "{cloud.url}"\ntoken = "{cloud.token(ID)}"\n')
    monkeypatch.setattr(provisioning, "PLACES", (tmp_path / "none", path))
    return path


def enrol(config: Path, *words: str) -> int:
    return main(["enrol", "--config", str(config), *words])


def by_hand(cloud: Cloud, config: Path, *words: str) -> int:
    return enrol(config, "--url", cloud.url, "--token", cloud.token(ID), *words)


def slots(config: Path) -> Slots:
    return Slots(config.parent / "state" / "identity")


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert err.startswith("reed-gateway: ")
    assert err.count("\n") == 1
    return err


# --- by hand --------------------------------------------------------------------------------------------


def test_each_step_is_told_to_the_person(cloud: Cloud, config: Path, capsys: pytest.CaptureFixture[str]):
    assert by_hand(cloud, config) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        *("trust", "key", "certificate", "broker", "files", "daemon"),
        "hq-01:",
    ]
    assert "does not run now; it connects when it starts" in lines[-2]
    assert lines[-1].startswith("hq-01: enrolled, certificate until 20")
    assert lines[-1].endswith("UTC, broker broker.test:8883")
    assert slots(config).current() is not None


def test_each_step_is_one_line_of_json(cloud: Cloud, config: Path, capsys: pytest.CaptureFixture[str]):
    assert by_hand(cloud, config, "--json") == 0

    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in told][-2:] == ["daemon", "done"]
    assert told[-1] | {"until": ""} == {
        "step": "done",
        "gateway": ID,
        "key": "software",
        "until": "",
        "host": "broker.test",
        "port": 8883,
        "is_new": True,
    }


def test_a_running_gateway_is_told_to_connect(
    cloud: Cloud, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    gateway = FakeGateway()
    with served(tmp_path / "control", gateway):
        assert by_hand(cloud, config, "--socket", str(tmp_path / "control")) == 0

    assert gateway.nudges == 1
    assert "the gateway connects now" in capsys.readouterr().out


def test_a_gateway_without_a_link_is_said_to_stay_alone(
    cloud: Cloud, config: Path, capsys: pytest.CaptureFixture[str]
):
    config.write_text(CONFIG.replace("[link]\n", ""))

    assert by_hand(cloud, config) == 0
    assert "has no [link], so the gateway stays without a cloud" in capsys.readouterr().out


def test_the_same_again_is_a_success(cloud: Cloud, config: Path, capsys: pytest.CaptureFixture[str]):
    by_hand(cloud, config)
    capsys.readouterr()

    assert by_hand(cloud, config) == 0
    assert "hq-01: enrolled already with this token" in capsys.readouterr().out


def test_another_token_needs_again(cloud: Cloud, config: Path, capsys: pytest.CaptureFixture[str]):
    by_hand(cloud, config)
    capsys.readouterr()
    other = ("--url", cloud.url, "--token", cloud.token(ID, "z" * 26))

    assert enrol(config, *other) == 77
    assert "enrolled already, as hq-01" in complaint(capsys)
    assert enrol(config, *other, "--again") == 0


def test_a_token_of_another_gateway_is_refused_before_anybody_is_asked(
    cloud: Cloud, config: Path, capsys: pytest.CaptureFixture[str]
):
    assert enrol(config, "--url", cloud.url, "--token", cloud.token("hq-02")) == 77
    assert "the token is for hq-02, and" in complaint(capsys)
    assert cloud.asked == []


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--token", "x"], 78, "--url: missing"),
        (["--url", "https://localhost"], 78, "--token: missing"),
        (["--url", "https://localhost", "--token", "hq-01.abc"], 77, "the token is not whole"),
        (["--url", "localhost", "--token", "GOOD"], 77, "give https://HOST"),
        (["--url", "https://localhost:1", "--token", "GOOD"], 69, "try again later"),
        (["--url", "https://localhost", "--from", "f"], 78, "--url: is in the file"),
        (["--from", "none.toml"], 78, "there is no such file"),
        (["--url", "https://localhost:1", "--token", "GOOD", "--ca-file", "none.pem"], 77, "none.pem"),
    ],
)
def test_what_is_wrong_is_one_line(  # noqa: PLR0917
    cloud: Cloud,
    config: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    said: str,
):
    good = cloud.token(ID)

    assert enrol(config, *(good if word == "GOOD" else word for word in words)) == status
    assert said in complaint(capsys)


def test_a_name_that_was_mistyped_leaves_no_complaint_beside_it(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert enrol(config, "--from", str(tmp_path / "none.toml")) == 78
    assert "there is no such file" in complaint(capsys)
    assert not list(tmp_path.glob("none.toml*"))


def test_the_clouds_refusal_is_told_in_its_words(
    cloud: Cloud, config: Path, capsys: pytest.CaptureFixture[str]
):
    words = ("--url", cloud.url, "--token", cloud.token(ID))
    cloud.tickets.clear()

    assert enrol(config, *words) == 77
    assert complaint(capsys) == f"reed-gateway: {cloud.url} refuses: the token is not valid\n"


def test_a_token_may_come_from_standard_input(
    cloud: Cloud, config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "stdin").write_text(cloud.token(ID) + "\n")
    with (tmp_path / "stdin").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)

        assert enrol(config, "--url", cloud.url, "--token", "-") == 0


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_what_is_no_text_is_no_token(  # noqa: PLR0917
    cloud: Cloud,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    errors: str,
):
    (tmp_path / "stdin").write_bytes(b"hq-01.\xff\xfe.\x1b[2J\n")
    with (tmp_path / "stdin").open(encoding="utf-8", errors=errors) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)

        assert enrol(config, "--url", cloud.url, "--token", "-") in (77, 78)

    assert complaint(capsys).rstrip("\n").isprintable()


def test_a_configuration_that_was_mistyped_is_not_replaced_by_the_usual_places(
    cloud: Cloud, config: Path, capsys: pytest.CaptureFixture[str]
):
    assert by_hand(cloud, config.with_name("gatewy.toml")) == 78
    assert "gatewy.toml: cannot be read: No such file" in complaint(capsys)
    assert cloud.asked == []


def test_an_address_and_a_token_that_changed_places_show_no_secret(
    cloud: Cloud, config: Path, capsys: pytest.CaptureFixture[str]
):
    token = cloud.token(ID)
    assert enrol(config, "--url", token, "--token", cloud.url) == 77
    assert enrol(config, "--url", token, "--token", token) == 77
    assert token.split(".")[1] not in capsys.readouterr().err


def test_a_token_that_is_typed_is_not_shown(cloud: Cloud, config: Path):
    token = cloud.token(ID)
    terminal = Terminal(["enrol", "--config", str(config), "--url", cloud.url])
    try:
        terminal.until("token: ")
        terminal.press(f"{token}\n")
        terminal.until_true(lambda: terminal.process.poll() is not None, "end")
    finally:
        terminal.close()

    assert terminal.process.returncode == 0
    assert est_cloud.SECRET not in terminal.shown


def test_before_there_is_a_configuration_the_usual_places_are_taken(
    cloud: Cloud,
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    from gateway.cli import enrolling  # noqa: PLC0415
    from gateway.config.model import GatewayConfig  # noqa: PLC0415
    from gateway.identity.config import Config  # noqa: PLC0415

    config.unlink()
    state = tmp_path / "usual"
    monkeypatch.setattr(enrolling, "GatewayConfig", lambda id: GatewayConfig(id=id, state_dir=state))  # noqa: A006
    software = Config(key="software", allow_software_key=True)
    monkeypatch.setattr(enrolling, "IdentityConfig", lambda: software)
    monkeypatch.setattr(enrolling, "DEFAULT_PATH", config)

    assert by_hand(cloud, config) == 0
    assert "not configured yet: write" in capsys.readouterr().out
    assert Slots(state / "identity").current() is not None


def test_a_clock_that_is_certainly_wrong_is_told_and_does_not_stop_it(
    cloud: Cloud, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(app_clock, "RELEASED_UNIX_S", time.time() + 86_400)

    assert by_hand(cloud, config) == 0
    assert "clock        this machine's clock is wrong" in capsys.readouterr().out


# --- from a file ----------------------------------------------------------------------------------------


def test_no_file_at_boot_is_a_quiet_success(config: Path, capsys: pytest.CaptureFixture[str]):
    assert enrol(config, "--provisioning") == 0

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_file_at_boot_enrols_and_is_destroyed(
    cloud: Cloud, config: Path, card: Path, monkeypatch: pytest.MonkeyPatch
):
    held = card.open("rb")  # sees what the card held when the name was taken away
    length = card.stat().st_size

    assert enrol(config, "--provisioning") == 0

    assert slots(config).current() is not None
    assert list(card.parent.iterdir()) == []
    with held:
        assert held.read() == b"\0" * length


def test_a_file_of_another_name_is_taken_and_destroyed_too(cloud: Cloud, config: Path, card: Path):
    other = card.rename(card.with_name("other.toml"))

    assert enrol(config, "--from", str(other)) == 0
    assert not other.exists()


def test_a_file_that_is_wrong_stays_with_the_reason_beside_it(
    cloud: Cloud, config: Path, card: Path, capsys: pytest.CaptureFixture[str]
):
    before = card.read_bytes()
    cloud.tickets.clear()

    assert enrol(config, "--provisioning") == 77

    assert card.read_bytes() == before
    beside = card.with_name("reed-enrol.toml.problem")
    assert f"reed-gateway: {beside.read_text()}" == complaint(capsys)
    assert est_cloud.SECRET not in beside.read_text()


def test_the_reason_goes_with_the_file_once_it_has_worked(cloud: Cloud, config: Path, card: Path):
    tickets = dict(cloud.tickets)
    cloud.tickets.clear()
    enrol(config, "--provisioning")
    cloud.tickets.update(tickets)

    assert enrol(config, "--provisioning") == 0
    assert list(card.parent.iterdir()) == []


def test_no_network_at_boot_asks_to_be_tried_again(
    cloud: Cloud, config: Path, card: Path, capsys: pytest.CaptureFixture[str]
):
    card.write_text(card.read_text().replace(cloud.url, "https://localhost:1"))

    assert enrol(config, "--provisioning") == 69
    assert "try again later" in complaint(capsys)
    assert card.exists()


def test_a_power_cut_before_the_file_was_destroyed_is_made_good(cloud: Cloud, config: Path, card: Path):
    content = card.read_bytes()
    enrol(config, "--provisioning")
    card.write_bytes(content)
    asked = len(cloud.asked)

    assert enrol(config, "--provisioning") == 0
    assert not card.exists()
    assert len(cloud.asked) == asked


def test_a_machine_that_is_enrolled_destroys_the_file_unused(
    cloud: Cloud, config: Path, card: Path, capsys: pytest.CaptureFixture[str]
):
    by_hand(cloud, config)
    card.write_text(f'url = "{cloud.url}"\ntoken = "{cloud.token(ID, "z" * 26)}"\n')

    assert enrol(config, "--provisioning") == 0
    assert not card.exists()
    assert not cloud.tickets["z" * 26].used_for
    assert f"enrolled already; {card} is removed unused" in capsys.readouterr().out


def test_a_machine_that_is_enrolled_is_enrolled_anew_where_the_file_says_so(
    cloud: Cloud, config: Path, card: Path
):
    by_hand(cloud, config)
    card.write_text(f'url = "{cloud.url}"\ntoken = "{cloud.token(ID, "z" * 26)}"\nagain = true\n')

    assert enrol(config, "--provisioning") == 0
    assert cloud.tickets["z" * 26].used_for


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "url: missing; give an address"),
        ("url = 1", "url: is not allowed; give an address"),
        ('url = "https://x"\ntoken = ""', "token: missing"),
        ('url = "https://x"\ntokn = "a"', "tokn: unknown key; known: url, token"),
        ('url = "https://x"\ntoken = "a"\nagain = "yes"', "again: is not allowed; give true or false"),
        ("url = ", "is not TOML"),
        ("x" * 70_000, "is larger than 65536 bytes"),
        ('url = "\xff"', "is not UTF-8"),
        ("x = " + "[" * 10_000, "is nested too deeply"),
        ('url = "https://x"\ntoken = "a"\nca_file = 1', "ca_file: is not allowed; give the name of a file"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_the_reason(
    config: Path, card: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
):
    card.write_bytes(text.encode("latin-1"))

    assert enrol(config, "--provisioning") == 78
    assert said in capsys.readouterr().err
    assert said in card.with_name("reed-enrol.toml.problem").read_text()


def test_a_file_of_another_system_is_understood(cloud: Cloud, config: Path, card: Path):
    card.write_bytes(b"\xef\xbb\xbf" + card.read_bytes().replace(b"\n", b"\r\n"))

    assert enrol(config, "--provisioning") == 0


def test_a_folder_of_that_name_is_no_file(config: Path, card: Path, capsys: pytest.CaptureFixture[str]):
    card.unlink()
    card.mkdir()

    assert enrol(config, "--provisioning") == 78
    assert "is no file" in complaint(capsys)


def test_an_authority_may_lie_beside_the_file(cloud: Cloud, config: Path, card: Path):
    card.with_name("root.pem").write_bytes(cloud.authority.root_file.read_bytes())
    card.write_text(card.read_text() + 'ca_file = "root.pem"\n')

    assert enrol(config, "--provisioning") == 0


def test_a_card_that_cannot_be_written_is_told_once_the_enrolment_is_done(
    cloud: Cloud,
    config: Path,
    card: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    def read_only(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    # of this module only: the state folder is on another disk
    monkeypatch.setattr(provisioning, "durable", SimpleNamespace(remove=read_only))

    assert enrol(config, "--provisioning") == 74
    assert f"{card}: cannot be removed (Read-only file system); remove it by hand" in complaint(capsys)
    assert slots(config).current() is not None


# --- with the configuration -----------------------------------------------------------------------------


@pytest.fixture
def with_config(card: Path) -> Path:
    """A configuration beside the provisioning file, which names it."""
    source = card.with_name("gateway.toml")
    source.write_text(CONFIG + "# of this building\n")
    card.write_text(card.read_text() + 'config_file = "gateway.toml"\n')
    return source


def test_a_configuration_on_the_card_becomes_the_gateways(
    cloud: Cloud, config: Path, card: Path, with_config: Path
):
    config.unlink()

    assert enrol(config, "--provisioning") == 0

    assert config.read_text().endswith("# of this building\n")
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert list(card.parent.iterdir()) == []
    assert slots(config).current() is not None


def test_the_former_configuration_is_kept(cloud: Cloud, config: Path, card: Path, with_config: Path):
    assert enrol(config, "--provisioning") == 0

    assert config.with_name("gateway.toml.bak").read_text() == CONFIG


def test_a_wrong_configuration_changes_nothing(
    cloud: Cloud, config: Path, card: Path, with_config: Path, capsys: pytest.CaptureFixture[str]
):
    with_config.write_text(CONFIG.replace('"sim"', '"simm"'))

    assert enrol(config, "--provisioning") == 78

    assert f"{config}" not in capsys.readouterr().out
    assert config.read_text() == CONFIG
    assert "board.kind" in card.with_name("reed-enrol.toml.problem").read_text()
    assert with_config.exists()
    assert cloud.asked == []


def test_the_gateways_own_configuration_is_never_destroyed(
    cloud: Cloud, config: Path, capsys: pytest.CaptureFixture[str]
):
    """`config_file` names what the gateway uses: it would be shredded with the token."""
    file = config.with_name("enrol.toml")
    file.write_text(f'url = "{cloud.url}"\ntoken = "{cloud.token(ID)}"\nconfig_file = "{config.name}"\n')

    assert enrol(config, "--from", str(file)) == 78

    assert "is the gateway's configuration itself" in complaint(capsys)
    assert config.read_text() == CONFIG
    assert cloud.asked == []


def test_a_configuration_that_is_not_there_is_named(
    cloud: Cloud, config: Path, card: Path, with_config: Path, capsys: pytest.CaptureFixture[str]
):
    with_config.unlink()

    assert enrol(config, "--provisioning") == 78
    assert f"{with_config}: cannot be read" in complaint(capsys)


def test_a_power_cut_between_both_files_is_made_good(
    cloud: Cloud, config: Path, card: Path, with_config: Path
):
    content = card.read_bytes()
    enrol(config, "--provisioning")
    card.write_bytes(content)

    assert enrol(config, "--provisioning") == 0
    assert list(card.parent.iterdir()) == []


def test_two_at_once_do_not_spoil_each_other(cloud: Cloud, config: Path):
    statuses: list[int] = []
    words = ("--url", cloud.url, "--token", cloud.token(ID))
    others = [threading.Thread(target=lambda: statuses.append(enrol(config, *words))) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()

    assert 0 in statuses
    assert set(statuses) <= {0, 75}
    assert len(cloud.issued) == 1
