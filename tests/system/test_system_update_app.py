"""The application is updated where it is a package: by the applier, in its unit, on a real dpkg.

Whatever the new version is like, and whenever the power is cut, one of two whole versions protects.
These tests go on from each other.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gateway.sim.hands import Dry, Leak
from tests.system.harness import boot
from tests.system.harness.boot import Booted
from tests.system.harness.note import note
from tests.system.harness.package import Packages
from tests.system.harness.site import CONFIG, Site, until
from tests.system.harness.updated import HOME, SPOOL, Answer, Updated, changed, replace

CUTS = int(os.environ.get("REED_UPDATE_CUTS", "16"))
FIRST, NEWER = "0.1.0", "0.2.0"
COMMAND = "usr/share/reed-gateway/gateway/__main__.py"
DAEMON = "usr/share/reed-gateway/gateway/app/daemon.py"

pytestmark = pytest.mark.skipif(bool(boot.why_not()), reason=boot.why_not() or "-")


@pytest.fixture(scope="module")
def gateway(booted: Booted, packages: Packages) -> Updated:
    booted.install(packages.gateway)
    booted.run("systemctl", "mask", "mosquitto", "nginx", "man-db.timer", "apt-daily.timer", check=False)
    site = Site(booted)
    site.build()
    site.configure(
        CONFIG.replace("dry_hold_s = 5.0", "dry_hold_s = 0.1") + "[update]\nhealth_timeout_s = 60.0\n"
    )
    booted.run("systemctl", "start", "reed-gateway")
    return Updated(site)


@pytest.fixture(scope="module")
def newer(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    made = changed(packages.gateway, NEWER, tmp_path_factory.mktemp("newer"), lambda _: None)
    return made.read_bytes()


@contextmanager
def nothing_moves(gateway: Updated) -> Iterator[None]:
    with gateway.site.watched() as onlooker:
        yield
    assert onlooker.moved == []


def install(gateway: Updated, data: bytes, version: str, **custom: object) -> Answer:
    """Sign a package and have it installed."""
    path = gateway.offer(f"app/reed-gateway_{version}_all.deb", data, version=version, **custom)
    return gateway.ask("install", kind="app", target=path, version=version, id="u-1", actor="alice")


def installed(gateway: Updated) -> str:
    """Return what dpkg says of the package."""
    shown = "${db:Status-Status} ${db:Status-Eflag} ${Version}"
    return gateway.machine.ask("dpkg-query", "-Wf", shown, "reed-gateway")


def guard_units(gateway: Updated) -> list[str]:
    """Return what is left of the dead man's guard."""
    found = gateway.machine.ask("find", "/etc/systemd", "/usr/local", "-name", "reed-apply-guard*")
    return found.splitlines()


# --- refused ----------------------------------------------------------------------------------------


def refusals(gateway: Updated, newer: bytes) -> Iterator[tuple[str, Answer]]:
    """Return what is wrong, and what the applier says to it."""
    ask = {"kind": "app", "version": NEWER}
    path = f"app/reed-gateway_{NEWER}_all.deb"
    gateway.spool()
    yield "unsigned", gateway.ask("install", target="app/nobody.deb", **ask)
    gateway.offer(path, newer, version=NEWER)
    for file in gateway.machine.path(f"{SPOOL}/targets").iterdir():
        file.write_bytes(newer[:-1] + bytes([newer[-1] ^ 1]))
    yield "tampered", gateway.ask("install", target=path, **ask)
    for file in gateway.machine.path(f"{SPOOL}/targets").iterdir():
        file.unlink()
        file.symlink_to("/etc/shadow")
    yield "link", gateway.ask("install", target=path, **ask)
    yield "other version", gateway.ask("install", kind="app", target=path, version="0.3.0")
    yield "other kind", gateway.ask("install", kind="config", target=path, version=NEWER)
    gateway.offer("app/old.deb", b"old", version="0.0.9")
    yield "older", gateway.ask("install", kind="app", target="app/old.deb", version="0.0.9", downgrade=True)
    gateway.offer("app/no.deb", b"no package", version="0.4.0")
    yield "no package", gateway.ask("install", kind="app", target="app/no.deb", version="0.4.0")
    gateway.offer("app/mislabelled.deb", newer, version="0.5.0")
    yield "mislabelled", gateway.ask("install", kind="app", target="app/mislabelled.deb", version="0.5.0")
    gateway.offer("app/later.deb", newer, version="0.6.0", min_version="0.5.0")
    yield "later", gateway.ask("install", kind="app", target="app/later.deb", version="0.6.0")


def test_what_is_not_right_is_refused_before_anything_is_written(gateway: Updated, newer: bytes):
    before, pid = installed(gateway), gateway.site.pid
    codes = {what: answer.code for what, answer in refusals(gateway, newer)}
    assert codes == {
        "unsigned": "untrusted",
        "tampered": "untrusted",
        "link": "untrusted",
        "other version": "untrusted",
        "other kind": "untrusted",
        "older": "older",
        "no package": "incompatible",
        "mislabelled": "incompatible",
        "later": "incompatible",
    }
    assert (installed(gateway), gateway.site.pid) == (before, pid)
    assert guard_units(gateway) == []
    assert gateway.state()["pending"] is None


def test_metadata_that_are_older_than_those_seen_before_are_refused(gateway: Updated, newer: bytes):
    path = gateway.offer(f"app/reed-gateway_{NEWER}_all.deb", newer, version=NEWER)
    old = {file.name: file.read_bytes() for file in gateway.machine.path(f"{SPOOL}/metadata").iterdir()}
    gateway.spool()
    assert gateway.ask("install", kind="app", target="app/nobody.deb", version=NEWER).code == "untrusted"
    for file in gateway.machine.path(f"{SPOOL}/metadata").iterdir():
        file.unlink()
    for name, data in old.items():
        gateway.machine.path(f"{SPOOL}/metadata/{name}").write_bytes(data)
    assert gateway.ask("install", kind="app", target=path, version=NEWER).code == "older"


def test_rubbish_is_answered_with_one_line(gateway: Updated):
    assert gateway.ask("dance").code == "invalid"
    assert gateway.ask("install").code == "invalid"
    assert gateway.ask("install", kind=7, target=[], version={}).code == "invalid"
    assert gateway.ask("commit", kind="fridge").code == "unsupported"
    assert "Traceback" not in gateway.journal()


def test_a_package_that_needs_another_one_is_refused_before_anything_is_written(
    gateway: Updated, packages: Packages, tmp_path: Path
):
    def needs(content: Path) -> None:
        replace(content / "DEBIAN/control", r"^Depends: ", "Depends: no-such-thing, ")

    before = installed(gateway)
    answer = install(gateway, changed(packages.gateway, "0.2.1", tmp_path, needs).read_bytes(), "0.2.1")
    assert answer.code == "install_failed"
    assert "no-such-thing" in answer.detail
    assert (installed(gateway), guard_units(gateway)) == (before, [])


def test_nothing_is_installed_while_the_building_is_wet(gateway: Updated, newer: bytes):
    gateway.site.poke(Leak(pipe="main"))
    until(lambda: gateway.site.view()["alarms"], "the alarm")
    answer = install(gateway, newer, NEWER)
    assert (answer.code, answer.passing) == ("busy", True)
    gateway.site.poke(Dry(pipe="main"))
    _dry(gateway)


def _dry(gateway: Updated) -> None:
    """Have the building as it was before the leak."""
    until(lambda: gateway.site.view()["valves"]["main"]["state"] == "closed", "the valve to be closed")

    def is_over() -> bool:
        words = ("alarms", "reset", "leak/zone/plant-room", "--cause", "mended")
        gateway.site.gateway(*words, check=False)
        return not gateway.site.view()["alarms"]

    until(is_over, "the end of the alarm", within_s=60.0)
    gateway.site.gateway("valve", "open", "main", "--yes", check=False)


# --- good -------------------------------------------------------------------------------------------


def test_a_newer_version_runs_on_trial_and_stays_once_it_is_committed(gateway: Updated, newer: bytes):
    began_s = time.monotonic()
    with nothing_moves(gateway):
        answer = install(gateway, newer, NEWER)
    assert answer.code == "", answer.detail
    assert answer.percents == sorted(answer.percents)
    note(f"application: {len(newer) / 1024:.0f} KiB installed and up in {time.monotonic() - began_s:.1f} s")
    assert gateway.version() == NEWER
    assert gateway.state()["pending"]["phase"] == "installed"
    assert gateway.machine.shows("reed-apply-guard.timer", "ActiveState") == "active"

    assert gateway.ask("commit", kind="app").ok == {"version": NEWER}
    state = gateway.state()
    assert (state["pending"], state["outcome"], state["kinds"]["app"]["former"]) == (None, {}, FIRST)
    assert guard_units(gateway) == []
    assert gateway.ask("commit", kind="app").ok, "an answer that was lost could not be asked for again"


def test_the_version_before_was_kept_and_comes_back_without_a_network(gateway: Updated):
    """The first one was packed again from what was installed."""
    with nothing_moves(gateway):
        answer = gateway.ask("install", kind="app", target="", version=FIRST)
        assert answer.code == "", answer.detail
        assert gateway.version() == FIRST
    assert gateway.ask("commit", kind="app").ok
    assert gateway.machine.run("dpkg", "--verify", "reed-gateway").stdout == ""
    assert gateway.ask("install", kind="app", target="", version="0.0.1").code == "unsupported"


def test_what_is_installed_may_be_restored_instead(gateway: Updated, newer: bytes):
    with nothing_moves(gateway):
        install(gateway, newer, NEWER)
        assert gateway.ask("restore", kind="app", detail="unhealthy: valve main").ok == {"version": FIRST}
    assert gateway.version() == FIRST
    state = gateway.state()
    assert state["outcome"]["outcome"] == "restored"
    assert "valve main" in state["outcome"]["detail"]
    assert gateway.ask("commit", kind="app").code == "unhealthy", "what was restored was then called good"


# --- broken -----------------------------------------------------------------------------------------


def _ends_at_once(content: Path) -> None:
    with (content / DAEMON).open("a") as file:
        file.write("\n\ndef run(*_: object) -> int:\n    return 1\n")


def _does_not_compile(content: Path) -> None:
    with (content / COMMAND).open("a") as file:
        file.write("\ndef (\n")


def _postinst_fails(content: Path) -> None:
    replace(content / "DEBIAN/postinst", r"\A#!/bin/sh\n", "#!/bin/sh\nexit 3\n")


@pytest.mark.parametrize(
    "broken",
    [
        ("0.3.0", _ends_at_once),
        ("0.3.1", _does_not_compile),
        ("0.3.2", _postinst_fails),
    ],
)
def test_a_broken_version_is_gone_before_anybody_is_answered(
    gateway: Updated,
    packages: Packages,
    tmp_path: Path,
    broken: tuple[str, Callable[[Path], None]],
):
    version, change = broken
    package = changed(packages.gateway, version, tmp_path, change).read_bytes()
    with nothing_moves(gateway):
        answer = install(gateway, package, version)
        assert answer.code == "unhealthy", answer
        until(gateway.protects, "the gateway")
    assert gateway.version() == FIRST
    assert installed(gateway) == f"installed ok {FIRST}"
    assert gateway.machine.ask("dpkg", "--audit") == ""
    assert guard_units(gateway) == []


# --- the whole way ----------------------------------------------------------------------------------


def test_brought_as_a_file_it_is_installed_judged_and_kept(gateway: Updated, newer: bytes):
    path = gateway.repository.add(f"app/reed-gateway_{NEWER}_all.deb", newer, version=NEWER)
    with nothing_moves(gateway):
        update = gateway.bring(path, NEWER)
    assert (update["state"], update["from_version"]) == ("succeeded", FIRST)
    assert gateway.version() == NEWER
    assert gateway.state()["pending"] is None
    gateway.ask("install", kind="app", target="", version=FIRST)
    gateway.ask("commit", kind="app")


def test_a_broken_one_that_was_brought_is_rolled_back_and_says_why(
    gateway: Updated, packages: Packages, tmp_path: Path
):
    package = changed(packages.gateway, "0.3.3", tmp_path, _ends_at_once).read_bytes()
    path = gateway.repository.add("app/reed-gateway_0.3.3_all.deb", package, version="0.3.3")
    with nothing_moves(gateway):
        update = gateway.bring(path, "0.3.3")
    assert (update["state"], update["code"]) == ("rolled_back", "unhealthy")
    assert "does not start" in update["detail"]
    assert gateway.version() == FIRST
    assert "update-failed/gateway" in {alarm["id"] for alarm in gateway.site.view()["alarms"]}


# --- nobody comes to a verdict ----------------------------------------------------------------------


def test_what_nobody_commits_goes_by_itself(gateway: Updated, newer: bytes):
    gateway.guard_after(2.0)
    with nothing_moves(gateway):
        assert install(gateway, newer, NEWER).code == ""
        gateway.settled()
    assert gateway.version() == FIRST
    assert "not committed" in gateway.state()["outcome"]["detail"]
    assert guard_units(gateway) == []


def test_it_goes_after_a_power_cut_too_and_with_a_python_that_is_broken(gateway: Updated, newer: bytes):
    gateway.guard_after(20.0)
    assert install(gateway, newer, NEWER).code == ""
    gateway.machine.path(f"/{COMMAND}").write_text("def (\n")
    gateway.machine.cut_power()
    gateway.machine.boot()
    gateway.settled()
    assert gateway.version() == FIRST
    assert "not committed" in gateway.state()["outcome"]["detail"]
    assert gateway.machine.run("dpkg", "--verify", "reed-gateway").stdout == ""


def test_power_cuts_at_any_time_leave_one_of_two_whole_versions(gateway: Updated, newer: bytes):
    dice = random.Random(6)  # noqa: S311  # repeatable, not secret
    began_s = time.monotonic()
    assert install(gateway, newer, NEWER).code == ""
    took_s = time.monotonic() - began_s
    gateway.ask("restore", kind="app", detail="it was only a measurement")
    ended = {"restored": 0, "committed": 0}
    broken = 0
    for cut in range(CUTS):
        path = gateway.offer(f"app/reed-gateway_{NEWER}_all.deb", newer, version=NEWER)
        connection = gateway.begin("install", kind="app", target=path, version=NEWER)
        time.sleep(took_s * (cut + dice.random()) / CUTS)
        broken += not installed(gateway).startswith("installed ok")
        gateway.machine.cut_power()
        connection.close()
        gateway.machine.boot()
        ended[_as_the_updater_would(gateway, cut)] += 1
        if gateway.version() == NEWER:
            gateway.ask("install", kind="app", target="", version=FIRST)
            gateway.ask("commit", kind="app")
    note(f"application: {CUTS} power cuts in {took_s:.1f} s of installation ({broken} within dpkg): {ended}")


def _as_the_updater_would(gateway: Updated, cut: int) -> str:
    """Look after a boot, and keep or undo what is there; return which."""
    until(gateway.protects, f"cut {cut}: the gateway", 60.0)
    repair = "reed-apply-repair.service"
    until(lambda: gateway.machine.shows(repair, "ActiveState") in ("inactive", "failed"), repair, 60.0)
    state = gateway.state()
    app = state["kinds"]["app"]
    assert not app["interrupted"], f"cut {cut}: dpkg was left in the middle: {gateway.journal()}"
    is_new = state["pending"] is not None and app["version"] == NEWER
    verb = "commit" if is_new else "restore"
    assert gateway.ask(verb, kind="app").ok == {"version": NEWER if is_new else FIRST}
    until(gateway.protects, f"cut {cut}: the gateway", 60.0)
    assert gateway.version() == (NEWER if is_new else FIRST)
    assert installed(gateway) == f"installed ok {gateway.version()}"
    assert gateway.machine.ask("dpkg", "--audit") == ""
    assert gateway.machine.run("dpkg", "--verify", "reed-gateway").stdout == ""
    assert guard_units(gateway) == []
    with suppress(FileNotFoundError):
        assert not list(gateway.machine.path(f"{HOME}/taken").iterdir())
    return "committed" if is_new else "restored"
