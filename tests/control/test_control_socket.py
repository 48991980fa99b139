import asyncio
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.control import peer
from gateway.control.client import Client
from gateway.control.config import Config
from gateway.control.server import serve
from gateway.errors import ControlError, DriverError
from tests.fakes.gateway import LEAK, FakeGateway, Served, served


def test_every_user_may_connect(at: Path, gateway: Served):
    assert stat.S_IMODE(at.stat().st_mode) == 0o666


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
@pytest.mark.parametrize(("groups", "allowed"), [([], False), ([12345], True)])
def test_others_may_read_but_only_the_group_actuates(
    groups: list[int], allowed: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.control.service.group_id", {"reed": 12345}.get)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with served(Path(folder) / "control") as gateway:
            with _as_nobody(groups):
                connected = Client(gateway.config.socket)
            with connected:
                assert connected.call("GetView")["view"]["state"] == "alarm"
                if allowed:
                    assert connected.call("AcknowledgeAlarm", alarm=LEAK)["state"] == "succeeded"
                    assert gateway.gateway.events[0].request.actor.name == "uid:65534"
                else:
                    with pytest.raises(ControlError, match="group reed may do this") as caught:
                        connected.call("ActuateValve", valve="main", wish="close")
                    assert caught.value.exit_status == 77
                    with pytest.raises(ControlError, match="group reed may do this"):
                        connected.call("UseIdentity")
                    assert (gateway.gateway.events, gateway.gateway.nudges) == ([], 0)


@contextmanager
def _as_nobody(groups: list[int]) -> Iterator[None]:
    before = os.getgroups()
    os.setgroups(groups)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def test_only_root_the_gateways_user_and_the_group_may_actuate():
    stranger = peer.Peer(1, os.geteuid() + 4711, frozenset({100}))

    assert not peer.may_actuate(stranger, 4242)
    assert not peer.may_actuate(stranger, None)
    assert peer.may_actuate(stranger, 100)
    assert peer.may_actuate(peer.Peer(1, 0, frozenset()), None)
    assert peer.may_actuate(peer.Peer(1, os.geteuid(), frozenset()), None)


def test_a_socket_left_by_a_killed_gateway_is_replaced(at: Path):
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(at))

    with served(at), Client(at) as client:
        assert client.call("GetView")["view"]["state"] == "alarm"
    assert not at.exists()


def test_a_first_client_that_leaves_at_once_harms_nobody(at: Path, gateway: Served):
    with closing(socket.socket(socket.AF_UNIX)) as hasty:
        hasty.connect(str(at))

    with Client(at) as client:
        assert client.call("GetView")["view"]["state"] == "alarm"


def test_a_gateway_that_never_had_a_client_stops_and_takes_its_socket_along(at: Path):
    with served(at):
        assert at.is_socket()

    assert not at.exists()


def test_a_second_gateway_does_not_take_over_the_socket(at: Path, gateway: Served, client: Client):
    problem = _problem_of_serving(at)

    assert "another gateway is listening" in problem
    assert client.call("GetView")["view"]["state"] == "alarm"


@pytest.mark.parametrize("long", [False, True])
def test_a_socket_that_cannot_be_made_is_one_clear_line(tmp_path: Path, long: bool):
    at = tmp_path / ("x" * 200 if long else "file")
    if not long:
        at.write_text("precious")

    problem = _problem_of_serving(at)

    assert str(at) in problem
    assert "\n" not in problem
    assert long or at.read_text() == "precious"


def _problem_of_serving(at: Path) -> str:
    with pytest.raises(DriverError) as caught:
        asyncio.run(serve(Config(socket=at), FakeGateway()))
    return str(caught.value)


def test_nobody_listening_is_one_clear_line(at: Path):
    with pytest.raises(ControlError, match="is the gateway running") as caught:
        Client(at)

    assert caught.value.exit_status == 69


def test_a_gateway_that_dies_is_noticed_by_its_client(at: Path):
    gateway = served(at)
    with gateway, Client(at) as client:
        views = client.stream("Watch", timeout_s=5)
        next(views)
        gateway.__exit__()

        with pytest.raises(ControlError, match="no answer on"):
            next(views)


def test_a_plain_shell_tool_can_use_the_socket(at: Path, gateway: Served):
    script = (
        "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);"
        's.sendall(b\'{"method":"org.varlink.service.GetInfo"}\\0\');print(s.recv(9999))'
    )
    shown = subprocess.run(
        [sys.executable, "-c", script, str(at)], capture_output=True, text=True, check=True, timeout=20
    )

    assert "org.reed.Gateway" in shown.stdout
