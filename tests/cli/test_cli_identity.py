"""`renew` and `identity`: what a timer and a person see of our key and certificate."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.app import clock as wall
from gateway.app.heartbeat import CLOCK_KEY
from gateway.cli.wall_time import saved_unix_s
from gateway.domain.commands import Remember
from gateway.identity.records import Attempt
from gateway.identity.records import Cloud as Where
from gateway.identity.slots import Slots
from gateway.store.config import Config
from tests.fakes import est_cloud
from tests.fakes.enrolled import certify, enrolled, loads, working
from tests.fakes.est_cloud import Cloud
from tests.fakes.gateway import FakeGateway, Served, served
from tests.fakes.issuer import DAY
from tests.fakes.shelf import Shelf
from tests.fakes.waiting import until

CONFIG = """
[gateway]
id = "hq-01"
state_dir = "."
runtime_dir = "run"
[board]
kind = "sim"
socket = "building"
[link]
[identity]
key = "software"
allow_software_key = true
"""

Run = Callable[..., tuple[int, str, str]]


class Trying(FakeGateway):
    """A gateway that tries a new pair when it is told to, some moments later."""

    def __init__(self, slots: Slots, *, refuses: str = "", after_s: float = 0.3) -> None:
        super().__init__()
        self._slots, self._refuses, self._after_s = slots, refuses, after_s

    def use_identity(self) -> None:
        super().use_identity()
        threading.Timer(self._after_s, self._try).start()

    def _try(self) -> None:
        if (trial := self._slots.trial()) is None:
            return
        if self._refuses:
            self._slots.reject(trial, self._refuses)
        else:
            self._slots.promote(trial)


@pytest.fixture(autouse=True)
def release(monkeypatch: pytest.MonkeyPatch) -> None:
    """This release was made yesterday, whatever day it is."""
    monkeypatch.setattr(wall, "RELEASED_UNIX_S", time.time() - 86_400)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with est_cloud.served(est_cloud.cloud(tmp_path)) as running:
        yield running


@pytest.fixture
def slots(tmp_path: Path, cloud: Cloud) -> Slots:
    return aged(tmp_path, cloud, 0.5)


def aged(tmp_path: Path, cloud: Cloud, share: float) -> Slots:
    """Return a gateway this share of whose certificate's lifetime is over."""
    begin = datetime.now(UTC) - share * 30 * DAY
    return enrolled(tmp_path / "identity", cloud, begin, begin + 30 * DAY)


@pytest.fixture
def reed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on this configuration; returns its status, output and complaints."""
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG)

    def run(*words: str) -> tuple[int, str, str]:
        status = main([*words, "--config", str(config), "--socket", str(tmp_path / "control")])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return run


@contextmanager
def running(tmp_path: Path, gateway: FakeGateway) -> Iterator[Served]:
    with served(tmp_path / "control", gateway) as answering:
        yield answering


def stamp(unix_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(unix_s))


# --- renew ----------------------------------------------------------------------------------------------


def test_renew_waits_for_the_gateways_verdict_and_says_it_in_one_line(
    tmp_path: Path, slots: Slots, reed: Run
):
    old = working(slots)
    with running(tmp_path, Trying(slots)):
        status, out, err = reed("renew")

    new = working(slots)
    assert (status, err) == (0, "")
    assert out == f"slot b is in use, valid until {stamp(new.not_valid_after_utc.timestamp())}\n"
    assert new.public_key() != old.public_key()
    assert slots.attempt is not None
    assert slots.attempt.outcome == "promoted"


def test_a_pair_that_the_gateway_refuses_is_a_failure_with_its_reason(
    tmp_path: Path, slots: Slots, reed: Run
):
    old = working(slots)
    with running(tmp_path, Trying(slots, refuses="not authorised")):
        assert reed("renew") == (1, "slot b was refused (not authorised); slot a stays in use\n", "")

    assert working(slots) == old


def test_without_a_gateway_the_pair_waits_for_its_start(slots: Slots, reed: Run):
    old = working(slots)

    status, out, _ = reed("renew")

    assert status == 75
    assert out == (
        "slot b is ready and waits to be tried: the gateway does not run now; it tries it when it starts\n"
    )
    assert working(slots) == old
    assert loads(slots.pair("b"), slots)


def test_a_gateway_that_cannot_decide_is_not_waited_for_for_ever(tmp_path: Path, slots: Slots, reed: Run):
    with running(tmp_path, Trying(slots, after_s=60)):
        status, out, _ = reed("renew", "--wait", "1s")

    assert status == 75
    assert (
        out == "slot b is ready and waits to be tried: not tried within 1.0 s; the gateway goes on trying\n"
    )


def test_a_gateway_without_a_cloud_is_not_waited_for(tmp_path: Path, slots: Slots, reed: Run):
    gateway = Trying(slots)
    gateway.has_cloud = False
    with running(tmp_path, gateway):
        status, out, _ = reed("renew")

    assert status == 75
    assert "there is no [link] in the configuration" in out


def test_renew_again_goes_on_with_the_pair_that_waits(tmp_path: Path, slots: Slots, cloud: Cloud, reed: Run):
    reed("renew")
    made = loads(slots.pair("b"), slots)
    with running(tmp_path, Trying(slots)):
        assert reed("renew")[0] == 0

    assert working(slots) == made
    assert len(cloud.issued) == 1


def test_renew_says_the_same_as_json(slots: Slots, reed: Run):
    status, out, _ = reed("renew", "--json")

    assert json.loads(out)["state"] == "staged"
    assert json.loads(out)["status"] == status == 75


def test_what_the_cloud_refuses_is_its_own_line(slots: Slots, cloud: Cloud, reed: Run):
    cloud.denied.add("hq-01")

    status, out, err = reed("renew")

    assert (status, out) == (77, "")
    assert err == f"reed-gateway: {cloud.url} refuses: this gateway is denied\n"


def test_a_cloud_that_is_away_is_worth_another_try(slots: Slots, reed: Run):
    slots.save_cloud(Where("hq-01", "https://localhost:1", "broker.test", 8883))

    status, _, err = reed("renew")

    assert status == 69
    assert err.count("\n") == 1


def test_who_was_never_enrolled_is_told_how(reed: Run):
    status, _, err = reed("renew")

    assert status == 77
    assert "not enrolled; run: reed-gateway enrol" in err


def test_of_two_at_once_the_second_says_who_is_at_it(slots: Slots, cloud: Cloud, reed: Run, tmp_path: Path):
    asked, go_on = threading.Event(), threading.Event()

    def before(_: BaseHTTPRequestHandler) -> bool:
        asked.set()
        go_on.wait(20)
        return False

    cloud.before = before
    command = [sys.executable, "-m", "gateway", "renew", "--config", tmp_path / "gateway.toml"]
    with subprocess.Popen([*command, "--socket", tmp_path / "control"], stdout=subprocess.PIPE) as first:
        assert asked.wait(20)
        status, _, err = reed("renew")
        go_on.set()
        first.wait(20)

    assert (status, first.returncode) == (75, 75)
    assert (
        err == f"reed-gateway: {slots.folder}: process {first.pid} works there; try again when it has ended\n"
    )


# --- renew --if-due -------------------------------------------------------------------------------------


def test_a_timer_does_nothing_before_it_is_time(slots: Slots, cloud: Cloud, reed: Run):
    for _ in range(2):
        status, out, _ = reed("renew", "--if-due")
        assert status == 0
        assert out.startswith("not due before ")

    assert cloud.asked == []
    assert slots.attempt is None


def test_a_timer_renews_when_it_is_time(tmp_path: Path, cloud: Cloud, reed: Run):
    slots = aged(tmp_path, cloud, 0.8)
    with running(tmp_path, Trying(slots)):
        assert reed("renew", "--if-due")[0] == 0
        assert reed("renew", "--if-due")[1].startswith("not due before ")

    assert slots.attempt is not None
    assert (slots.attempt.kind, slots.attempt.outcome) == ("renew", "promoted")


def test_a_timer_recovers_after_the_end(tmp_path: Path, cloud: Cloud, reed: Run):
    slots = aged(tmp_path, cloud, 1.1)
    with running(tmp_path, Trying(slots)):
        assert reed("renew", "--if-due")[0] == 0

    assert slots.attempt is not None
    assert (slots.attempt.kind, slots.attempt.outcome) == ("recover", "promoted")


def test_after_a_failure_a_timer_waits_and_a_person_need_not(tmp_path: Path, cloud: Cloud, reed: Run):
    slots = aged(tmp_path, cloud, 0.8)
    cloud.denied.add("hq-01")
    assert reed("renew", "--if-due")[0] == 77
    asked = len(cloud.asked)

    assert reed("renew", "--if-due")[1].startswith("not due before ")
    assert len(cloud.asked) == asked
    cloud.denied.clear()
    assert reed("renew")[0] == 75
    assert slots.trial() is not None


def test_a_timer_where_nobody_enrolled_is_no_failure(reed: Run):
    assert reed("renew", "--if-due") == (0, "not enrolled: there is nothing to renew\n", "")


def test_a_certificate_that_the_broker_refuses_is_renewed_before_its_time(
    tmp_path: Path, slots: Slots, reed: Run
):
    """Say, because the authority that issued it was given up; the registry decides who comes back."""
    gateway = Trying(slots)
    for since_s, planned in ((60.0, "not before"), (2 * 3600.0, "due now")):
        gateway.state["link"] = {"state": "down", "since_s": since_s, "denied": "certificate revoked"}
        with running(tmp_path, gateway):
            assert f"next renewal: {planned}" in reed("identity")[1]
            outcome = reed("renew", "--if-due")[1]
            assert outcome.startswith("not due before ") or planned == "due now"

    assert "slot b is in use" in outcome


def test_a_certificate_that_makes_no_sense_is_replaced_without_waiting(slots: Slots, cloud: Cloud, reed: Run):
    current = slots.current()
    assert current is not None
    current.cert_file.write_bytes(b"garbage")

    status, _, err = reed("renew", "--if-due")

    assert status == 77
    assert "our certificate" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_timer_that_has_nothing_to_do_loads_nothing_heavy(tmp_path: Path, cloud: Cloud, share: float):
    """Also with a clock that is wrong: the certificate begins tomorrow."""
    begin = datetime.now(UTC) - 15 * DAY if share < 1 else datetime.now(UTC) + DAY
    enrolled(tmp_path / "identity", cloud, begin, begin + 30 * DAY)
    (tmp_path / "gateway.toml").write_text(CONFIG)
    probe = (
        "import sys; from gateway.__main__ import main; status = main(sys.argv[1:]);"
        "heavy = {'cryptography', 'sqlite3', 'msgspec', 'gateway.identity.rotation'} & {*sys.modules};"
        "sys.exit(f'{status} {heavy}' if status or heavy else 0)"
    )

    done = subprocess.run(
        [sys.executable, "-c", probe, "renew", "--if-due", "--config", tmp_path / "gateway.toml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("not due" if share < 1 else "nothing is renewed now")


# --- a clock that is wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("doubt", ["certificate", "saved time", "gateway"])
async def test_with_a_clock_that_is_wrong_nothing_is_renewed_or_called_expired(
    tmp_path: Path, cloud: Cloud, reed: Run, shelf: Shelf, doubt: str
):
    slots = aged(tmp_path, cloud, 1.1 if doubt != "certificate" else -0.1)
    before = working(slots)
    gateway = FakeGateway()
    if doubt == "saved time":
        await save(shelf, tmp_path, time.time() + 86_400)
    if doubt == "gateway":
        gateway.state["clock"] = {"trusted": False}
    with running(tmp_path, gateway):
        for words, wanted in ((("renew",), 75), (("renew", "--if-due"), 0)):
            status, out, _ = reed(*words)
            assert status == wanted
            assert out.startswith("nothing is renewed now: ")
            assert out.count("\n") == 1
        status, out, _ = reed("identity", "--json")

    assert status == 0
    assert json.loads(out)["slots"]["a"]["validity"] == "unknown"
    assert json.loads(out)["next"] == {"action": "wait", "at_unix_s": None}
    assert cloud.asked == []
    assert working(slots) == before
    assert slots.attempt is None


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(Config(path=tmp_path / "reed.sqlite"))


async def save(shelf: Shelf, tmp_path: Path, unix_s: float) -> None:
    async with shelf.opened() as store:
        store.remember(Remember(CLOCK_KEY, round(unix_s)))
        await until(lambda: store.stats()["in_ram"] == 0)
    assert (tmp_path / "reed.sqlite").exists()


async def test_the_saved_time_is_read_while_the_gateway_holds_its_database(shelf: Shelf, tmp_path: Path):
    await save(shelf, tmp_path, 1_795_000_000)
    async with shelf.opened() as store:
        assert saved_unix_s(tmp_path / "reed.sqlite") == 1_795_000_000
        store.remember(Remember(CLOCK_KEY, 1_795_003_600))
        await until(lambda: store.stats()["in_ram"] == 0)
        # perhaps still in the log only; but never less than before, and never later than saved
        assert saved_unix_s(tmp_path / "reed.sqlite") in (1_795_000_000, 1_795_003_600)
    assert saved_unix_s(tmp_path / "reed.sqlite") == 1_795_003_600


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 500])
def test_a_database_that_tells_nothing_is_no_floor(tmp_path: Path, content: bytes | None):
    path = tmp_path / "reed #1?.sqlite"
    if content is not None:
        path.write_bytes(content)

    assert saved_unix_s(path) == 0.0


# --- identity -------------------------------------------------------------------------------------------


def test_identity_shows_both_slots_and_what_comes_next(tmp_path: Path, slots: Slots, cloud: Cloud, reed: Run):
    slots.save_attempt(Attempt(time.time(), "renew", "failed", "", "no network"))
    spare = slots.prepare()
    certify(spare, cloud)
    slots.stage(spare)
    with running(tmp_path, FakeGateway()):
        status, out, err = reed("identity")

    now = time.time()
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == f"hq-01: enrolled at {cloud.url}, broker broker.test:8883"
    current, trial = out.splitlines()[3:5]
    until_s = loads(slots.pair("a"), slots).not_valid_after_utc.timestamp()
    assert current.startswith("a     current  in a file  ")
    assert current.endswith(f"{stamp(until_s)}  valid")
    assert trial.startswith("b     trial    in a file  ")
    assert "next renewal: not before " in out
    assert f"last renewal: {stamp(now)}, failed: no network" in out
    assert out.splitlines()[-1] == "link: up for 1 min"


def test_identity_as_json_has_everything_for_a_program(tmp_path: Path, slots: Slots, cloud: Cloud, reed: Run):
    with running(tmp_path, FakeGateway()):
        facts = json.loads(reed("identity", "--json")[1])

    valid = loads(slots.pair("a"), slots)
    assert facts["gateway"] == "hq-01"
    assert facts["broker"] == {"host": "broker.test", "port": 8883}
    assert facts["slots"]["a"] == {
        "state": "current",
        "key": "software",
        "begin_unix_s": valid.not_valid_before_utc.timestamp(),
        "end_unix_s": valid.not_valid_after_utc.timestamp(),
        "validity": "valid",
    }
    assert facts["slots"]["b"]["state"] == "empty"
    assert facts["next"]["action"] == "wait"
    assert facts["link"]["state"] == "up"
    assert (facts["last"], facts["usable"]) == (None, True)


def test_a_denied_gateway_shows_it(tmp_path: Path, slots: Slots, reed: Run):
    gateway = FakeGateway()
    gateway.state["link"] = {"state": "down", "since_s": 90.0, "detail": "x", "denied": "not authorised"}
    with running(tmp_path, gateway):
        assert (
            reed("identity")[1].splitlines()[-1]
            == "link: DENIED by the cloud (not authorised) for 1 min 30 s"
        )


def test_an_expired_certificate_is_a_failure_and_says_what_comes(tmp_path: Path, cloud: Cloud, reed: Run):
    aged(tmp_path, cloud, 1.2)

    status, out, _ = reed("identity")

    assert status == 1
    assert "expired" in out
    assert "next renewal: due now, by proof of possession" in out
    assert out.splitlines()[-1] == "link: the gateway does not run"


def test_a_key_in_the_tpm_is_shown_as_such(slots: Slots, reed: Run):
    current = slots.current()
    assert current is not None
    current.key_file.write_bytes(b"-----BEGIN TSS2 PRIVATE KEY-----\nMIIB\n-----END TSS2 PRIVATE KEY-----\n")

    assert json.loads(reed("identity", "--json")[1])["slots"]["a"]["key"] == "tpm"


def test_before_enrolment_identity_says_so(reed: Run):
    status, out, _ = reed("identity")

    assert status == 1
    assert out.splitlines()[0] == "hq-01: not enrolled"


def test_a_folder_that_may_not_be_read_is_one_line_with_advice(
    slots: Slots, reed: Run, monkeypatch: pytest.MonkeyPatch
):
    def refuse(self: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "readlink", refuse)

    for command in ("identity", "renew"):
        status, _, err = reed(command)
        assert status == 77
        assert err == f"reed-gateway: {slots.folder}/current: Permission denied; try with sudo\n"
