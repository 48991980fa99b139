"""The verbs of the applier, over a kind that is a small working model and metadata that are given."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.domain.model import Json
from gateway.domain.update.model import Code, Step
from gateway.errors import UpdateError
from gateway.update.apply.lock import held
from gateway.update.apply.pending import Pending, Trial
from gateway.update.apply.ports import OnPercent, Wanted
from gateway.update.apply.protocol import Request
from gateway.update.apply.serve import Applier, Surroundings
from gateway.update.trust.target import Device, Target, check_file, check_meant

DATA = b"what was signed"
SHA256 = hashlib.sha256(DATA).hexdigest()


class Signed:
    """Says what was signed, and checks files by their real hash."""

    def __init__(self, **custom: Json) -> None:
        self.custom: dict[str, Json] = {"kind": "config", "version": "2", "gateway": "house-7"} | custom

    def target(self, path: str, kind: str = "", version: str = "") -> Target:
        target = Target(path, len(DATA), SHA256, self.custom)
        check_meant(target, kind, version)
        return target

    def verify(self, file: Path, target: Target) -> None:
        check_file(file, target)


@dataclass
class Shelf:
    """A kind with one thing in it."""

    trial: Trial
    there: bytes = b"former"
    runs: str = "1"
    gateway: str = "house-7"
    hindered: str = ""
    seen: list[str] = field(default_factory=list)

    def why_not(self) -> str:
        return self.hindered

    def version(self) -> str:
        return self.runs

    def former(self) -> tuple[str, Path] | None:
        return None

    def device(self) -> Device:
        return Device(gateway=self.gateway, running=self.runs)

    def install(
        self, wanted: Wanted, target: Target, file: Path, on_percent: OnPercent
    ) -> Mapping[str, Json]:
        assert file.stat().st_size == target.length_bytes
        self.trial.begin(Pending("config", wanted.target, wanted.version, self.runs))
        self.there, self.runs = file.read_bytes(), wanted.version
        on_percent(100)
        return {"version": self.runs}

    def commit(self) -> Mapping[str, Json]:
        self.trial.end()
        return {"version": self.runs}

    def restore(self, why: str) -> Mapping[str, Json]:
        self.seen.append(why)
        self.there, self.runs = b"former", "1"
        self.trial.end()
        return {"version": self.runs}

    def state(self) -> Mapping[str, Json]:
        return {}


@dataclass
class Rig:
    """An applier with everything that it needs, in a folder."""

    home: Path
    trust: Signed = field(default_factory=Signed)
    objections: dict[Step, tuple[str, ...]] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset({"config"})
    reboots: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kind = Shelf(Trial(self.home))
        self.spool = self.home / "spool"
        self.spool.mkdir()
        self.put(DATA)

    def put(self, data: bytes) -> Path:
        file = self.spool / f"{SHA256}.house.toml"
        file.write_bytes(data)
        return file

    def do(self, verb: str, **arguments: Json) -> Mapping[str, Json]:
        around = Surroundings(
            "reed-gateway",
            self.allowed,
            lambda step: self.objections.get(step, ()),
            lambda: self.reboots.append("now"),
            self.spool,
            "house-7",
        )
        kinds = {"config": self.kind, "app": Shelf(Trial(self.home), runs="9")}
        applier = Applier(self.home, lambda: self.trust, kinds, around)
        return applier.do(Request(verb, arguments), lambda _: None)

    def install(self, **other: Json) -> Mapping[str, Json]:
        return self.do("install", **{"kind": "config", "target": "config/house.toml", "version": "2"} | other)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def refused(rig: Rig, **other: Json) -> UpdateError:
    """Return why an installation was refused; then nothing has changed."""
    with pytest.raises(UpdateError) as caught:
        rig.install(**other)
    assert (rig.kind.there, rig.kind.runs) == (b"former", "1")
    assert not list((rig.home / "taken").glob("*"))
    return caught.value


def test_what_is_installed_is_what_was_signed(rig: Rig):
    assert rig.install() == {"version": "2"}
    assert rig.kind.there == DATA
    assert not list((rig.home / "taken").iterdir())


@pytest.mark.parametrize(
    ("custom", "other", "code"),
    [
        ({}, {"version": "3"}, Code.UNTRUSTED),
        ({}, {"version": ""}, Code.INVALID),
        ({}, {"kind": "app"}, Code.UNSUPPORTED),
        ({"kind": "app"}, {}, Code.UNTRUSTED),
        ({"gateway": "house-8"}, {}, Code.INCOMPATIBLE),
        ({"min_version": "1.5"}, {}, Code.INCOMPATIBLE),
        ({"version": "0.9"}, {"version": "0.9"}, Code.OLDER),
        ({"version": "0.9"}, {"version": "0.9", "downgrade": True}, Code.OLDER),
        ({"version": "0.9", "downgrade": True}, {"version": "0.9"}, Code.OLDER),
        ({}, {"target": ""}, Code.UNSUPPORTED),
    ],
)
def test_what_is_not_meant_for_here_is_refused(
    rig: Rig, custom: dict[str, Json], other: dict[str, Json], code: Code
):
    rig.trust = Signed(**custom)
    assert refused(rig, **other).code == code


def test_an_older_one_may_be_installed_when_everybody_means_it(rig: Rig):
    rig.trust = Signed(version="0.9", downgrade=True)
    assert rig.install(version="0.9", downgrade=True) == {"version": "0.9"}


def test_what_was_exchanged_is_found_out(rig: Rig):
    rig.put(DATA[:-1] + b"!")
    assert refused(rig).code == Code.UNTRUSTED
    rig.put(DATA + b"more")
    assert refused(rig).code == Code.UNTRUSTED


def test_a_link_is_not_followed(rig: Rig):
    file = rig.put(DATA)
    secret = rig.home / "secret"
    file.replace(secret)
    file.symlink_to(secret)
    assert refused(rig).code == Code.UNTRUSTED


def test_what_was_not_fetched_may_come_later(rig: Rig):
    rig.put(DATA).unlink()
    error = refused(rig)
    assert (error.code, error.passing) == (Code.UNREACHABLE, True)


def test_the_running_daemon_may_object(rig: Rig):
    rig.objections = {Step.INSTALL: ("leak in the kitchen",), Step.REBOOT: ("a valve moves",)}
    error = refused(rig)
    assert (error.code, error.passing) == (Code.BUSY, True)
    assert "leak in the kitchen" in str(error)
    with pytest.raises(UpdateError, match="a valve moves"):
        rig.do("reboot")
    assert rig.reboots == []


def test_one_at_a_time(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.update.apply.serve._WAIT_S", 0.05)
    with held(rig.home / "lock", 0.0):
        assert rig.do("state")["pending"] is None
        with pytest.raises(UpdateError) as caught:
            rig.install()
    assert (caught.value.code, caught.value.passing) == (Code.BUSY, True)


def test_what_the_configuration_does_not_take_is_not_taken(rig: Rig):
    rig.allowed = frozenset({"os"})
    assert refused(rig).code == Code.UNSUPPORTED


def test_what_was_installed_is_judged_even_if_it_forbids_its_own_kind(rig: Rig):
    rig.install()
    rig.allowed = frozenset()
    assert rig.do("commit", kind="config") == {"version": "2"}


def test_restoring_twice_restores_once(rig: Rig):
    rig.install()
    assert rig.do("restore", kind="config", detail="unhealthy") == {"version": "1"}
    assert rig.do("restore", kind="config", detail="unhealthy") == {"version": "1"}
    assert rig.kind.seen == ["unhealthy"]


def test_committing_twice_is_one_commit(rig: Rig):
    rig.install()
    assert rig.do("commit", kind="config") == {"version": "2"}
    assert rig.do("commit", kind="config") == {"version": "2"}


def test_the_state_tells_what_is_on_trial(rig: Rig):
    rig.install()
    state = rig.do("state")
    kinds = state["kinds"]
    assert isinstance(kinds, dict)
    assert kinds["config"] == {"supported": True, "why": "", "version": "2"}
    pending = state["pending"]
    assert isinstance(pending, dict)
    assert (pending["version"], pending["former_version"]) == ("2", "1")
    rig.kind.hindered = "no disk"
    kinds = rig.do("state")["kinds"]
    assert isinstance(kinds, dict)
    assert kinds["config"] == {"supported": False, "why": "no disk", "version": ""}


def test_another_kind_than_that_on_trial_is_neither_committed_nor_restored(rig: Rig):
    rig.install()
    with pytest.raises(UpdateError, match="config 2 is on trial, not app"):
        rig.do("commit", kind="app")
    assert rig.do("restore", kind="app") == {"version": "9"}
    assert rig.kind.runs == "2"
    assert rig.do("state")["pending"] is not None


def test_what_is_for_one_gateway_suits_a_kind_that_does_not_know_which_it_is(rig: Rig):
    rig.kind.gateway = ""
    assert rig.install() == {"version": "2"}
    rig.trust = Signed(gateway="house-8", version="3")
    with pytest.raises(UpdateError) as caught:
        rig.install(version="3")
    assert caught.value.code == Code.INCOMPATIBLE


def test_whoever_asks_writes_no_lines_into_the_journal(rig: Rig, caplog: pytest.LogCaptureFixture):
    rig.install()
    with caplog.at_level("INFO"):
        rig.do("restore", kind="config", detail="bad\nroot: all is well\0\udcff" + "x" * 9_000)
    assert len(rig.kind.seen[0]) <= 1_000
    assert rig.kind.seen[0].isprintable()
    assert all("\n" not in line for line in caplog.messages)


def test_what_runs_again_is_not_committed_as_what_was_tried(rig: Rig):
    rig.install()
    with pytest.raises(UpdateError, match="config 2 is on trial, not config 3"):
        rig.do("commit", kind="config", version="3")
    rig.kind.restore("by the guard, whose word was lost")
    with pytest.raises(UpdateError, match="config 1 runs, not 2") as caught:
        rig.do("commit", kind="config", version="2")
    assert caught.value.code == Code.UNHEALTHY
    rig.install()
    for _ in range(2):
        assert rig.do("commit", kind="config", version="2") == {"version": "2"}
