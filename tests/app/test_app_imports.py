"""What the daemon loads while nothing asks for more: memory is what a small machine has least of."""

import re
import socket
from contextlib import closing
from pathlib import Path

from gateway.cli.demo import devca
from tests.fakes.enrolment import Enrolment
from tests.fakes.house import CONFIG, House, house

HEAVY = {"msgspec", "cryptography", "jwt", "rich", "bleak", "pydantic"}


def imported(home: House) -> set[str]:
    """The modules that import statements have loaded, says the gateway (python -X importtime)."""
    return set(re.findall(r"^import time:.*\| +(\S+)$", home.log(), re.MULTILINE))


def start_and_knock_at_the_broker(home: House, folder: Path) -> None:
    """Start the gateway and wait until its link has got as far as a broker that hangs up."""
    ca = devca.ensure(folder / "ca", "house-7")
    with closing(socket.create_server(("127.0.0.1", 0))) as broker:
        broker.settimeout(15)
        home.config_file.write_text(
            f"""{CONFIG}
[link]
host = "localhost"
port = {broker.getsockname()[1]}
ca_file = "{ca.ca_file}"
cert_file = "{ca.cert_file("house-7")}"
key_file = "{ca.key_file("house-7")}"
command_key_file = "{ca.command_key_file}"
"""
        )
        home.start(PYTHONPROFILEIMPORTTIME="1")
        broker.accept()[0].close()


def test_an_idle_gateway_with_wired_sensors_and_a_link_loads_nothing_heavy(tmp_path: Path):
    with house(tmp_path) as home:
        start_and_knock_at_the_broker(home, tmp_path)

        loaded = imported(home)

        assert {
            "gateway.app.gateway",
            "gateway.sim.board",
            "gateway.link.mqtt",
            "paho.mqtt.client",
        } <= loaded
        assert not HEAVY & {name.partition(".")[0] for name in loaded}
        assert home.stop() == 0


def test_an_enrolled_gateway_loads_no_more_than_it_needs_to_use_its_certificate(tmp_path: Path):
    ca = devca.ensure(tmp_path / "ca", "house-7")
    with house(tmp_path) as home, closing(socket.create_server(("127.0.0.1", 0))) as broker:
        broker.settimeout(15)
        Enrolment(ca, tmp_path / "state" / "identity").enrol(broker.getsockname()[1], "localhost")
        home.config_file.write_text(f"{CONFIG}[link]\n")
        home.start(PYTHONPROFILEIMPORTTIME="1")
        broker.accept()[0].close()

        loaded = imported(home)

        assert {"gateway.identity.slots", "gateway.identity.tls", "paho.mqtt.client"} <= loaded
        assert not {*HEAVY, "tpm2_pytss"} & {name.partition(".")[0] for name in loaded}
        assert not {"gateway.identity.rotation", "gateway.identity.est"} & loaded
        assert home.stop() == 0


def test_the_control_methods_are_loaded_for_the_first_client(tmp_path: Path):
    with house(tmp_path) as home:
        home.start(PYTHONPROFILEIMPORTTIME="1")
        assert "gateway.control.methods" not in imported(home)

        home.until_view(bool)

        assert {"gateway.control.methods", "msgspec"} <= imported(home)
        assert home.stop() == 0
