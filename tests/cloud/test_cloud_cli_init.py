"""`reed-cloud init`: everything is made once, nothing is ever overwritten, an interruption is made good."""

import json
import os
import re
import stat
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cloud.__main__ import main
from cloud.brokers import mosquitto
from cloud.errors import SetupError
from cloud.home import Home
from cloud.project.config import Config, read
from cloud.registry import services
from cloud.run import founding, programs
from tests.cloud.reed_cloud import command, done, environment, reed_cloud, until
from tests.fakes.broker import needs_mosquitto

pytestmark = needs_mosquitto

PASSPHRASE = "correct-horse-battery-staple"  # noqa: S105  # of a test


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file but the database's own, which a mere look may touch."""
    files = (path for path in folder.rglob("*") if path.is_file() and "sqlite3" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    return path


def init(folder: Path, *words: object) -> int:
    return main(["init", "--home", str(folder), "--host", "localhost", *map(str, words)])


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


# --- what is made ---------------------------------------------------------------------------------------


def test_everything_is_there_and_for_its_owner_only(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert init(folder) == 0
    home = Home(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in (home.settings_file, home.secret_key_file, home.command_key_file, home.passphrase_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for service in ("web", "broker", "ingest", "broker-admin", "revoked-probe"):
        key = load_pem_private_key(home.key_file(service).read_bytes(), None)
        assert key.public_key() == certificate(home.cert_file(service)).public_key()
        assert stat.S_IMODE(home.key_file(service).stat().st_mode) == 0o600
    assert home.crl_file.exists()
    assert (home.broker / "mosquitto.conf").exists()
    assert (home.nginx / "nginx.conf").exists()
    assert not home.unfinished_file.exists()
    assert "Carry" in capsys.readouterr().out


def test_the_passphrase_that_is_shown_opens_the_root_and_stands_nowhere(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    init(folder)
    found = re.search(r"never again:\n\n    (\S+)\n", capsys.readouterr().out)
    assert found is not None

    key = load_pem_private_key(next(folder.glob("offline-root/*.key")).read_bytes(), found[1].encode())
    assert key.public_key() == certificate(Home(folder).roots_file).public_key()
    assert not [name for name, content in contents(folder).items() if found[1].encode() in content]
    assert "keep" in (folder / "offline-root" / "READ-ME.txt").read_text().lower()


def test_a_passphrase_of_ones_own_is_used_and_not_shown(
    folder: Path, passphrase_file: Path, capsys: pytest.CaptureFixture[str]
):
    assert init(folder, "--root-passphrase-file", passphrase_file) == 0

    load_pem_private_key(next(folder.glob("offline-root/*.key")).read_bytes(), PASSPHRASE.encode())
    shown = capsys.readouterr().out
    assert PASSPHRASE not in shown
    assert "never again" not in shown


def test_json_has_all_that_a_script_needs(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert init(folder, "--json", "--https-port", 9443) == 0

    said = json.loads(capsys.readouterr().out)
    assert said["url"] == "https://localhost:9443"
    assert said["root_passphrase"]
    assert Path(said["offline_root"]).is_dir()


def test_names_addresses_and_ports_are_where_they_were_asked_to_be(folder: Path):
    assert (
        init(folder, "--host", "10.1.2.3", "--bind", "127.0.0.1", "--broker-port", 9883, "--admin-port", 9884)
        == 0
    )

    config = read(Home(folder))
    assert config.public.hosts == ("localhost", "10.1.2.3")
    assert (config.public.bind, config.broker.bind) == ("127.0.0.1", "127.0.0.1")
    assert (config.broker.port, config.broker.admin_port) == (9883, 9884)
    names = certificate(Home(folder).cert_file("web")).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "10.1.2.3" in map(str, names.value.get_values_for_type(x509.IPAddress))


def test_settings_that_were_written_beforehand_are_kept(folder: Path):
    folder.mkdir()
    settings = '[public]\nhost = "cloud.example.com"\n[policy]\ngateway_days = 7\n'
    (folder / "cloud.toml").write_text(settings)

    assert init(folder) == 0

    assert (folder / "cloud.toml").read_text() == settings
    assert read(Home(folder)).policy.gateway_days == 7


def test_every_step_stands_in_the_audit_trail(folder: Path):
    init(folder)

    actions = {entry.action for entry in services.audit_entries(limit=100)}
    assert {"root-created", "intermediate-created", "service"} <= actions
    assert {entry.actor for entry in services.audit_entries(limit=100)} == {f"cli:{_me()}"}


def _me() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


# --- what is refused ------------------------------------------------------------------------------------


def test_a_second_time_changes_nothing_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]):
    init(folder)
    before = contents(folder)
    capsys.readouterr()

    assert init(folder) == os.EX_CONFIG

    assert capsys.readouterr().err == f"reed-cloud: {folder}: is set up already; nothing was changed\n"
    assert contents(folder) == before


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "thesis.txt").write_text("the only copy")
    mode = stat.S_IMODE(tmp_path.stat().st_mode)

    assert init(tmp_path) == os.EX_CONFIG

    assert "holds something else" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert stat.S_IMODE(tmp_path.stat().st_mode) == mode


def test_a_file_is_no_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").touch()

    assert init(tmp_path / "file") == os.EX_CONFIG
    assert init(tmp_path / "file" / "home") != 0
    assert capsys.readouterr().err.count("\n") == 2


def test_a_host_that_is_none_is_refused_and_leaves_no_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["init", "--home", str(folder), "--host", "https://cloud/"]) == os.EX_CONFIG

    said = capsys.readouterr().err
    assert "no host name" in said
    assert said.count("\n") == 1
    assert not folder.exists()


def test_wrong_settings_of_ones_own_are_named_and_stay_for_mending(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    folder.mkdir()
    (folder / "cloud.toml").write_text("[public]\nhots = 1\n")

    assert init(folder) == os.EX_CONFIG
    assert "did you mean host?" in capsys.readouterr().err

    (folder / "cloud.toml").write_text("")
    assert init(folder) == 0


@pytest.mark.parametrize(
    ("content", "problem"),
    [("", "holds no passphrase"), ("short\n", "take at least"), (None, "No such file")],
)
def test_a_passphrase_that_is_none_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, problem: str
):
    path = tmp_path / "passphrase"
    if content is not None:
        path.write_text(content)

    assert init(folder, "--root-passphrase-file", path) == os.EX_CONFIG

    said = capsys.readouterr().err
    assert problem in said
    assert said.count("\n") == 1


def test_ports_must_differ(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert init(folder, "--https-port", 8883) == os.EX_CONFIG
    assert "must differ" in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.parametrize("program", ["mosquitto", "nginx"])
def test_a_missing_program_is_one_clear_line_and_no_authority_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], program: str
):
    which = mosquitto.config.shutil.which
    monkeypatch.setattr("shutil.which", lambda name, **more: None if name == program else which(name, **more))

    assert init(folder) == os.EX_CONFIG

    assert re.fullmatch(
        rf"reed-cloud: {program} is missing; install it with: apt install .*\n", capsys.readouterr().err
    )
    assert not list(folder.glob("offline-root/*"))


def test_commands_on_a_home_that_is_not_finished_say_what_to_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    for words in (["run"], ["gateway", "list"], ["token", "create", "a"], ["ca", "show"], ["audit"]):
        assert main([*words, "--home", str(folder)]) == os.EX_CONFIG
    said = capsys.readouterr().err.splitlines()
    assert said == [f"reed-cloud: {folder}: there is no cloud; run: reed-cloud init --home {folder}"] * 5

    init(folder)
    Home(folder).unfinished_file.touch()
    assert main(["gateway", "list", "--home", str(folder)]) == os.EX_CONFIG
    assert "its init was interrupted" in capsys.readouterr().err


# --- interruptions --------------------------------------------------------------------------------------


def break_at(monkeypatch: pytest.MonkeyPatch, where: object, name: str) -> Callable[[], None]:
    def fail(*_: object, **__: object) -> None:
        raise SetupError("the lights went out")

    with_lights = getattr(where, name)
    monkeypatch.setattr(where, name, fail)
    return lambda: monkeypatch.setattr(where, name, with_lights)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (founding, "prepare"),
        (programs, "programs"),
        (founding, "migrate"),
        (services, "create_root"),
        (services, "create_intermediate"),
        (founding, "_make_command_key"),
        (services, "ensure_services"),
        (services, "publish_crl"),
    ],
)
def test_whatever_step_it_was_interrupted_in_a_second_call_makes_the_rest(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: object,
    name: str,
):
    folder.mkdir()
    (folder / "cloud.toml").touch()
    mend = break_at(monkeypatch, where, name)
    assert init(folder) == os.EX_CONFIG
    said = capsys.readouterr()
    assert said.err == "reed-cloud: the lights went out\n"
    mend()

    assert init(folder) == 0

    home = Home(folder)
    shown = re.findall(r"never again:\n\n    (\S+)\n", said.out + capsys.readouterr().out)
    key = load_pem_private_key(next(folder.glob("offline-root/*.key")).read_bytes(), shown[-1].encode())
    assert key.public_key() == certificate(home.roots_file).public_key()
    assert len(x509.load_pem_x509_certificates(home.roots_file.read_bytes())) == 1
    assert main(["ca", "show", "--home", str(folder)]) == 0


@pytest.mark.parametrize("after_s", [0.35, 0.5, 0.65])
def test_killed_at_any_time_it_can_be_run_again(folder: Path, tmp_path: Path, after_s: float):
    words = command("init", "--home", folder, "--host", "localhost", "--json")
    with (tmp_path / "log").open("wb") as log:
        first = subprocess.Popen(words, stdout=log, stderr=log, env=environment())
        try:
            first.wait(after_s)
        except subprocess.TimeoutExpired:
            first.kill()
        first.wait()

    said = (tmp_path / "log").read_text()
    if said:  # it was quicker: it speaks once everything is made, and may be killed while it leaves
        assert json.loads(said)
    else:
        done("init", "--home", folder, "--host", "localhost")
    assert "intermediate" in done("ca", "show", "--home", folder)
    assert "none changed" in done("audit", "--verify", "--home", folder)


def test_two_at_a_time_do_not_mix(folder: Path):
    words = command("init", "--home", folder, "--host", "localhost")
    both = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        for _ in range(2)
    ]
    for each in both:
        each.communicate(timeout=60)

    assert [each.returncode for each in both].count(0) >= 1
    until(lambda: not Home(folder).unfinished_file.exists(), "the end of init")
    assert len(x509.load_pem_x509_certificates(Home(folder).roots_file.read_bytes())) == 1
    assert reed_cloud("audit", "--verify", "--home", folder).returncode == 0


# --- the settings file ----------------------------------------------------------------------------------


def test_what_the_comments_call_the_default_is_the_default_and_no_key_is_left_out():
    wish = founding.Wish(hosts=("localhost",), bind="", https_port=8443, broker_port=8883, admin_port=8884)
    text = re.sub(r"(?m)^# (?=[a-z_0-9]+ = )", "", founding.settings_text(wish))
    tables = tomllib.loads(text)
    default = Config()

    assert set(tables) == {field.name for field in fields(Config)}
    for name, table in tables.items():
        part = getattr(default, name)
        assert is_dataclass(part)
        assert set(table) == {field.name for field in fields(part)}, name
        for key, value in table.items():
            expected = getattr(part, key)
            assert value == (list(expected) if isinstance(expected, tuple) else expected), f"{name}.{key}"
