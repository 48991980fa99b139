"""The settings of an installation, and the database that they name."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from cloud.errors import SetupError
from cloud.home import Home
from cloud.project import config, databases
from cloud.project.setup import migrate, prepare, start
from cloud.registry import services

REPOSITORY = Path(__file__).parents[2]


def written(folder: Path, text: str) -> Home:
    home = Home(folder)
    home.settings_file.write_text(text)
    return home


# --- cloud.toml -------------------------------------------------------------------------------------


def test_without_a_file_everything_has_its_default(tmp_path: Path):
    found = config.read(Home(tmp_path))
    assert found == config.Config()
    assert (found.public.host, found.policy.gateway_days, found.broker.kind) == (
        "localhost",
        30.0,
        "mosquitto",
    )


def test_what_the_file_says_is_taken(tmp_path: Path):
    home = written(
        tmp_path,
        """
        [public]
        host = "cloud.example.com"
        more_hosts = ["192.0.2.1"]
        [policy]
        gateway_days = 7
        [broker]
        kind = "rabbitmq"
        """,
    )
    found = config.read(home)
    assert found.public.hosts == ("cloud.example.com", "192.0.2.1")
    assert found.policy.gateway_days == 7.0
    assert found.broker.kind == "rabbitmq"


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path):
    home = written(
        tmp_path,
        """
        colour = "red"
        [public]
        hosts = "example.com"
        https_port = "443"
        [policy]
        gateway_days = true
        [broker]
        kind = "kafka"
        [ca]
        key = "pkcs11"
        """,
    )
    with pytest.raises(SetupError) as refused:
        config.read(home)
    said = str(refused.value)
    for words in (
        "colour: unknown key; there are: public, enrolment, policy, ca, broker, database",
        "public.hosts: unknown key; did you mean host?",
        'public.https_port: "443" is not allowed; give a whole number',
        "policy.gateway_days: True is not allowed; give a number",
        'broker.kind: "kafka" is not allowed; give "mosquitto" or "rabbitmq"',
        'ca: key "pkcs11" needs pkcs11_module',
    ):
        assert words in said, words
    assert "\n" not in said
    assert said.startswith(str(home.settings_file))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[public", "is not TOML"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"#" * (1 << 21), "is larger than"),
        (b"public = 3", "it is a table"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_in_one_line(tmp_path: Path, data: bytes, words: str):
    home = Home(tmp_path)
    home.settings_file.write_bytes(data)
    with pytest.raises(SetupError, match=words):
        config.read(home)


def test_a_folder_in_the_files_place_is_said(tmp_path: Path):
    home = Home(tmp_path)
    home.settings_file.mkdir()
    with pytest.raises(SetupError, match="cannot be read: Is a directory"):
        config.read(home)


# --- the home ---------------------------------------------------------------------------------------


def test_a_prepared_home_is_closed_to_others_and_keeps_what_it_has(tmp_path: Path):
    home = Home(tmp_path / "home")
    prepare(home, "[public]\n")
    secret = home.secret_key_file.read_text()
    prepare(home, "other")
    assert home.secret_key_file.read_text() == secret
    assert home.settings_file.read_text() == "[public]\n"
    for path in (home.folder, home.ca, home.services, home.secret_key_file, home.settings_file):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_home_that_cannot_be_made_is_said_in_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be prepared: Not a directory"):
        prepare(Home(tmp_path / "file" / "home"))


def test_a_process_of_its_own_sees_what_another_one_decided(home: Home):
    services.expect("gw-1", site="Tower", actor="cli:test")
    program = (
        "import sys; from pathlib import Path; from cloud.home import Home;"
        "from cloud.project.setup import start; start(Home(Path(sys.argv[1])));"
        "from cloud.registry import services; print(services.find('gw-1').site.name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, home.folder],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=REPOSITORY,
        env={**os.environ, "REED_CLOUD_HOME": "/nonexistent"},
        check=False,
    )
    assert (done.stdout, done.stderr) == ("Tower\n", "")


# --- the database -----------------------------------------------------------------------------------


def test_sqlite_commits_to_disk_and_readers_do_not_wait(home: Home):
    on_server = "REED_TEST_DATABASE_URL" in os.environ
    assert connection.vendor == ("postgresql" if on_server else "sqlite")
    if on_server:
        assert not home.database_file.exists()
        return
    with connection.cursor() as cursor:
        for pragma, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            cursor.execute(f"PRAGMA {pragma}")
            assert cursor.fetchone() == (wanted,), pragma
    with sqlite3.connect(home.database_file, timeout=0.1) as other:
        other.execute("BEGIN IMMEDIATE")
        assert services.gateways() == []
        other.execute("ROLLBACK")
    other.close()


def test_migrating_twice_changes_nothing(home: Home):
    services.expect("gw-1", site="Tower", actor="cli:test")
    migrate()
    assert services.find("gw-1").state == "expected"
    assert services.verify_audit().problem == ""


def test_the_migrations_say_what_the_models_say(home: Home):
    from django.core.management import call_command  # noqa: PLC0415

    call_command("makemigrations", "registry", "est", check_changes=True, dry_run=True, verbosity=0)


def test_a_database_that_cannot_be_reached_is_said_in_one_line(tmp_path: Path, home: Home):
    elsewhere = written(tmp_path, '[database]\nurl = "postgresql://reed@127.0.0.1:9/reed"\n')
    start(elsewhere)
    with pytest.raises(SetupError, match="the database cannot be brought up to date") as refused:
        migrate()
    assert "\n" not in str(refused.value)
    start(home)


def test_the_url_names_everything_of_postgresql(tmp_path: Path):
    found = databases.settings(
        "postgresql://us%40er:p%2Fw@db.example:5433/reed?sslmode=verify-full", Home(tmp_path)
    )
    assert found["ENGINE"] == "django.db.backends.postgresql"
    assert (found["USER"], found["PASSWORD"], found["HOST"]) == ("us@er", "p/w", "db.example")
    assert (found["PORT"], found["NAME"], found["OPTIONS"]["sslmode"]) == ("5433", "reed", "verify-full")
    socket = databases.settings("postgresql:///reed?host=/run/postgresql", Home(tmp_path))
    assert (socket["HOST"], socket["USER"]) == ("/run/postgresql", "")


@pytest.mark.parametrize(
    "url", ["mysql://h/x", "reed", "postgresql://h", "postgresql://h:x/reed", "postgresql://h/reed?x=1"]
)
def test_another_url_is_refused_without_its_password(tmp_path: Path, url: str):
    with pytest.raises(SetupError, match=r"database\.url"):
        databases.settings(url, Home(tmp_path))
