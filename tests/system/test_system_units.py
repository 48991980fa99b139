"""Both packages on one machine, with a TPM: everything happens through the units, in their sandboxes.

These tests go on from each other.
"""

import time

import pytest

from tests.system.harness import boot
from tests.system.harness.boot import Booted
from tests.system.harness.package import Packages
from tests.system.harness.site import CONFIG, CONFIG_FILE, Site, until

TPM_UNIT = """\
[Service]
User=tss
RuntimeDirectory=swtpm
StateDirectory=swtpm
ExecStart=/usr/bin/swtpm socket --tpm2 --tpmstate dir=/var/lib/swtpm --flags not-need-init,startup-clear \\
    --server type=unixio,path=/run/swtpm/sock,mode=0660 --ctrl type=unixio,path=/run/swtpm/sock.ctrl,mode=0660
"""
WITH_CLOUD = f"""\
{CONFIG}
[link]
backoff_cap_s = 2.0
[identity]
key = "tpm"
tcti = "swtpm:path=/run/swtpm/sock"
tpm_timeout_s = 5.0
"""
IDENTITY = "/var/lib/reed/identity"
PASSPHRASE = "the root of a test and of nothing else\n"  # noqa: S105
HEALTH = "https://localhost:8443/healthz"
SECRETS_WAIT_S = 10.0
"""TimeoutStartSec of reed-secrets.service."""

pytestmark = pytest.mark.skipif(bool(boot.why_not()), reason=boot.why_not() or "-")


@pytest.fixture(scope="module")
def machine(booted: Booted, packages: Packages) -> Booted:
    booted.install(packages.gateway, packages.cloud)
    booted.write("/etc/systemd/system/swtpm.service", TPM_UNIT)
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "start", "swtpm")
    return booted


@pytest.fixture(scope="module")
def site(machine: Booted) -> Site:
    site = Site(machine)
    site.build()
    return site


def cloud(machine: Booted, *words: str, stdin: str = "") -> str:
    """Run a command of `reed-cloud` as its user; return what it printed."""
    return machine.run("sudo", "-u", "reed-cloud", "reed-cloud", *words, stdin=stdin).stdout


def pair(site: Site) -> str:
    """Return which key and certificate connect the gateway."""
    return str(site.view()["link"]["pair"])


def test_the_cloud_does_not_start_before_it_is_set_up(machine: Booted):
    machine.run("systemctl", "start", "reed-cloud")
    assert machine.shows("reed-cloud", "ActiveState") == "inactive"
    assert machine.shows("reed-cloud", "ConditionResult") == "no"


def test_set_up_it_runs_beside_debians_broker_and_web_server(machine: Booted):
    cloud(machine, "init", "--host", "localhost", "--root-passphrase-file", "-", stdin=PASSPHRASE)
    machine.run("systemctl", "start", "reed-cloud")
    roots = "/var/lib/reed-cloud/ca/roots.pem"
    assert machine.ask("curl", "--silent", "--fail", "--cacert", roots, HEALTH) == "ok"
    assert machine.ask("systemctl", "is-active", "reed-cloud", "mosquitto", "nginx").split() == ["active"] * 3
    assert "gateway list" in machine.ask("man", "-P", "cat", "reed-cloud")


def test_a_card_that_was_prepared_configures_and_enrols_its_gateway(machine: Booted, site: Site):
    cloud(machine, "gateway", "expect", "house-7", "--attestation", "none")
    token = cloud(machine, "token", "create", "house-7").strip()
    machine.write("/boot/firmware/gateway.toml", WITH_CLOUD)
    order = f'url = "https://localhost:8443"\ntoken = "{token}"\nconfig_file = "gateway.toml"\n'
    machine.write("/boot/firmware/reed-enrol.toml", order)
    machine.run("systemctl", "start", "reed-enrol")
    assert not list(machine.path("/boot/firmware").iterdir())
    assert machine.ask("stat", "-c", "%U:%G %a", CONFIG_FILE) == "root:reed 640"
    until(lambda: site.state == "active" and site.view()["link"]["state"] == "up", "the link")


def test_its_key_is_in_the_tpm_and_signs_in_the_sandbox(machine: Booted, site: Site):
    assert site.view()["link"]["key"] == "tpm"
    assert "TSS2 PRIVATE KEY" in machine.ask("cat", f"{IDENTITY}/current/key.pem")
    foreign = machine.ask("find", IDENTITY, "!", "-type", "l", "!", "-user", "reed-gateway")
    assert foreign == ""


def test_the_renewal_makes_a_new_key_in_the_tpm(machine: Booted, site: Site):
    former = pair(site)
    override = "[Service]\nExecStart=\nExecStart=/usr/bin/reed-gateway renew\n"  # though it is not due
    machine.write("/run/systemd/system/reed-renew.service.d/now.conf", override)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "reed-renew")
    assert "is in use" in machine.journal("reed-renew")
    assert pair(site) != former


def test_what_the_tpm_has_sealed_lies_open_before_the_gateway_starts(machine: Booted, site: Site):
    machine.run("reed-gateway", "secret", "set", "sump", stdin="7d2f0c5be83146a99b11c0de5eed0001")
    machine.run("systemctl", "stop", "reed-gateway")
    assert not machine.path("/run/reed/secrets").exists()
    machine.run("systemctl", "start", "reed-gateway")
    assert machine.ask("stat", "-c", "%U %a", "/run/reed/secrets/sump") == "reed-gateway 600"


def test_a_tpm_that_hangs_keeps_no_building_unprotected(machine: Booted, site: Site):
    machine.run("systemctl", "kill", "--signal=STOP", "swtpm")
    began_s = time.monotonic()
    machine.run("systemctl", "restart", "reed-gateway")
    assert site.state == "active"
    assert time.monotonic() - began_s < SECRETS_WAIT_S + 5.0
    machine.run("systemctl", "kill", "--signal=CONT", "swtpm")
    until(lambda: site.view()["link"]["state"] == "up", "the link", 60.0)


def test_upgraded_the_cloud_serves_again(machine: Booted, packages: Packages):
    pid = machine.shows("reed-cloud", "MainPID")
    machine.apt("reinstall", *machine.bring(packages.cloud))
    assert machine.shows("reed-cloud", "ActiveState") == "active"
    assert machine.shows("reed-cloud", "MainPID") != pid


def test_purged_the_cloud_leaves_its_keys(machine: Booted):
    said = machine.apt("purge", "reed-cloud")
    assert "is kept" in said
    assert machine.path("/var/lib/reed-cloud/secret.key").exists()
