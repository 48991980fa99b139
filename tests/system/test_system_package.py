"""The life of the package: apt, dpkg and power cuts move no valve and lose nothing of the user's.

These tests go on from each other, as the life of a gateway does.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.sim.hands import Leak
from tests.system.harness import boot
from tests.system.harness.boot import Booted
from tests.system.harness.package import Packages, with_version
from tests.system.harness.site import CONFIG, CONFIG_FILE, Site, until

STATE_FILE = "/var/lib/reed/reed.sqlite"
NEWER = "0.2.0"
KILLED_AFTER = (0.15, 0.4, 0.65, 0.9)
"""Shares of the time that dpkg takes."""

pytestmark = pytest.mark.skipif(bool(boot.why_not()), reason=boot.why_not() or "-")


@pytest.fixture(scope="module")
def site(booted: Booted) -> Site:
    return Site(booted)


@pytest.fixture(scope="module")
def newer(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_version(packages.gateway, NEWER, tmp_path_factory.mktemp("newer"))


@contextmanager
def nothing_moves(site: Site) -> Iterator[None]:
    """Nothing is driven, and the valve that is held open still is."""
    with site.watched() as onlooker:
        yield
    assert onlooker.moved == []
    assert {line for line, level in site.levels().items() if level} == {"kitchen-open"}


def configuration(site: Site) -> tuple[str, str]:
    """Return the configuration's text, owner and mode."""
    return site.machine.ask("cat", CONFIG_FILE), site.machine.ask("stat", "-c", "%U:%G %a", CONFIG_FILE)


def version(site: Site) -> str:
    """Return the version of the daemon that runs."""
    return str(site.view()["gateway"]["version"])


def test_installing_makes_user_groups_and_folders_and_waits_for_a_configuration(
    site: Site, packages: Packages
):
    site.machine.install(packages.gateway)
    assert site.machine.ask("id", "-un", "reed-gateway") == "reed-gateway"
    groups = site.machine.ask("getent", "group", "reed", "gpio", "i2c", "spi", "dialout", "bluetooth", "tss")
    assert len(groups.splitlines()) == 7
    folders = site.machine.ask("stat", "-c", "%n %U:%G %a", "/etc/reed", "/var/lib/reed").splitlines()
    assert folders == ["/etc/reed root:reed 750", "/var/lib/reed reed-gateway:reed 750"]
    assert site.state == "inactive"
    assert (
        "gateway.toml was not met"
        in site.machine.run("systemctl", "status", "reed-gateway", check=False).stdout
    )


def test_it_protects_once_there_is_a_configuration(site: Site):
    site.build()
    site.configure()
    site.machine.run("systemctl", "start", "reed-gateway")
    assert site.state == "active"
    assert site.levels()["kitchen-open"]


def test_what_it_comes_with_works(site: Site):
    machine = site.machine
    assert "valve close" in machine.ask("man", "-P", "cat", "reed-gateway")
    assert machine.ask(
        "bash", "-c", ". /usr/share/bash-completion/completions/reed-gateway; complete -p reed-gateway"
    )
    example = "/usr/share/doc/reed-gateway/examples/gateway.toml"
    assert "valid" in site.gateway("check-config", example)
    assert (
        machine.ask("systemctl", "is-enabled", "reed-gateway", "reed-renew.timer").split() == ["enabled"] * 2
    )
    assert machine.ask("systemctl", "list-units", "--failed", "--quiet", "--plain") == ""
    assert (
        machine.ask("systemd-analyze", "verify", *(f"reed-{name}.service" for name in ("gateway", "enrol")))
        == ""
    )


def test_an_upgrade_replaces_the_daemon(site: Site, newer: Path):
    before, pid = configuration(site), site.pid
    with nothing_moves(site):
        site.machine.install(newer)
        assert site.state == "active"
    assert (version(site), configuration(site)) == (NEWER, before)
    assert site.pid != pid


def test_a_downgrade_does_so_too(site: Site, packages: Packages):
    before = configuration(site)
    with nothing_moves(site):
        site.machine.install(packages.gateway)
        assert site.state == "active"
    assert version(site) != NEWER
    assert configuration(site) == before


def test_a_gateway_that_was_stopped_stays_so(site: Site, newer: Path):
    with nothing_moves(site):
        site.machine.run("systemctl", "stop", "reed-gateway")
        site.machine.install(newer)
        assert site.state == "inactive"
        site.machine.run("systemctl", "start", "reed-gateway")
    assert version(site) == NEWER


def test_a_wrong_configuration_keeps_the_old_daemon_running_and_is_told(site: Site, packages: Packages):
    pid = site.pid
    site.configure(CONFIG.replace("travel_s = 3.0", "travel_time = 3.0"))
    with nothing_moves(site):
        said = site.machine.install(packages.gateway)
        assert (site.state, site.pid) == ("active", pid)
    assert "valve.main.travel_time" in said
    assert "the gateway runs on as it was" in said
    assert site.machine.ask("dpkg-query", "-Wf${db:Status-Status}", "reed-gateway") == "installed"
    site.configure()
    with nothing_moves(site):
        site.machine.run("systemctl", "restart", "reed-gateway")
    assert version(site) != NEWER


def test_dpkg_killed_at_any_time_leaves_a_gateway_that_protects(site: Site, packages: Packages, newer: Path):
    inside = site.machine.bring(packages.gateway, newer)
    began_s = time.monotonic()
    with nothing_moves(site):
        site.machine.run("dpkg", "--install", inside[0])
    took_s = time.monotonic() - began_s
    states: set[str] = set()
    for number, share in enumerate(KILLED_AFTER):
        package = inside[(number + 1) % 2]
        with nothing_moves(site):
            site.machine.run("timeout", "-sKILL", f"{share * took_s:.2f}", "dpkg", "-i", package, check=False)
            states.add(site.machine.ask("dpkg-query", "-Wf${db:Status-Status}", "reed-gateway"))
            until(lambda: site.state == "active", "the gateway")
            site.machine.run("dpkg", "--configure", "-a", check=False)
            site.machine.apt("install", package)
            assert site.state == "active"
        assert (version(site) == NEWER) is (package == inside[1])
    assert site.machine.ask("dpkg", "--audit") == ""
    assert states - {"installed"}, "dpkg was always done before it was killed"


def test_a_power_cut_in_the_middle_of_an_upgrade_does_not_matter(site: Site, packages: Packages, newer: Path):
    before = configuration(site)
    site.machine.install(packages.gateway)
    inside = site.machine.bring(newer)
    site.machine.run("dpkg", "--unpack", *inside)
    site.machine.cut_power()
    site.machine.boot()
    until(lambda: site.state == "active", "the gateway")
    with nothing_moves(site):
        site.machine.run("dpkg", "--configure", "-a")
        assert site.state == "active"
    assert (version(site), configuration(site)) == (NEWER, before)


def test_removing_stops_it_and_keeps_what_is_the_users(site: Site):
    before = configuration(site)
    with nothing_moves(site):
        site.machine.apt("remove", "reed-gateway")
        assert site.state == "inactive"
    assert configuration(site) == before
    assert site.machine.path(STATE_FILE).exists()
    assert not site.machine.path("/usr/share/reed-gateway").exists()


def test_installed_again_it_goes_on_where_it_was(site: Site, packages: Packages):
    last = re.findall(r"ready: .* epoch (\d+)", site.machine.journal("reed-gateway"))[-1]
    with nothing_moves(site):
        site.machine.install(packages.gateway)
        assert site.state == "active"
    until(lambda: f"epoch {last} has ended" in site.machine.journal("reed-gateway"), "what it remembers")


def test_a_valve_that_closes_comes_to_its_end_though_the_package_is_upgraded(site: Site, newer: Path):
    site.poke(Leak(pipe="main"))
    until(lambda: site.levels()["main-close"], "the valve to move")
    site.machine.install(newer)
    until(lambda: site.view()["valves"]["main"]["state"] == "closed", "the valve to be closed")
    assert not site.levels()["main-close"]
    assert "leak/zone/plant-room" in {alarm["id"] for alarm in site.view()["alarms"]}


def test_purged_it_is_gone_but_for_the_configuration(site: Site):
    before = configuration(site)
    with nothing_moves(site):
        said = site.machine.apt("purge", "reed-gateway")
    assert "/etc/reed is kept" in said
    assert configuration(site) == before
    assert not site.machine.path("/var/lib/reed").exists()
    left = site.machine.ask(
        "find", "/etc", "/usr", "/run", "/var/lib", "-name", "reed*", "-not", "-path", "*reed-building*"
    )
    assert set(left.splitlines()) == {"/etc/reed"}
