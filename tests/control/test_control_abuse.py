import socket
from contextlib import closing
from pathlib import Path

import pytest

from gateway.control import connection as connection_module
from gateway.control.client import Client
from gateway.errors import ControlError
from tests.control.wire import call, raw
from tests.fakes.gateway import Served, served


def test_a_call_may_arrive_byte_by_byte(at: Path, gateway: Served):
    frame = call("org.varlink.service.GetInfo")

    [reply] = raw(at, *(frame[i : i + 1] for i in range(len(frame))), half_close=True)

    assert reply["parameters"]["product"] == "reed gateway"


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n\0",
        b"\0",
        b"[]\0",
        b"7\0",
        b"{}\0",
        b'{"method":7}\0',
        b'{"method":"\xff"}\0',
        b"[" * 50_000 + b"\0",
        b'{"method":"org.reed.Gateway.GetView","parameters":[1]}\0',
        b"\xff" * 1000 + b"\0",
    ],
)
def test_garbage_gets_an_error_and_never_harms_the_others(client: Client, at: Path, garbage: bytes):
    replies = raw(at, garbage, half_close=True)

    assert len(replies) == 1
    assert "error" in replies[0]
    assert client.call("GetView")["view"]["state"] == "alarm"


def test_more_than_the_limit_without_an_end_is_cut_off(client: Client, at: Path):
    [reply] = raw(at, b"x" * (connection_module.MAX_UNREAD_BYTES + 1))

    assert reply["error"] == "org.reed.Gateway.Malformed"
    assert client.call("GetEvents")["messages"] == []


def test_a_fault_behind_one_call_ends_neither_the_connection_nor_the_server(
    client: Client, gateway: Served, caplog: pytest.LogCaptureFixture
):
    whole = gateway.gateway.state
    del gateway.gateway.state

    with pytest.raises(ControlError, match="a fault of the gateway"):
        client.call("GetView")

    gateway.gateway.state = whole
    assert client.call("GetView")["view"]["state"] == "alarm"
    assert "control call failed" in caplog.text


def test_a_client_that_does_not_read_holds_nobody_up_and_little_memory(at: Path, gateway: Served):
    with closing(socket.socket(socket.AF_UNIX)) as deaf, Client(at) as other:
        deaf.connect(str(at))
        deaf.sendall(call("org.reed.Gateway.GetView") * 300)
        for _ in range(20):
            assert other.call("GetEvents")["messages"] == []


def test_a_user_with_too_many_connections_is_told(at: Path):
    with served(at, max_clients=2), Client(at) as first, Client(at) as second:
        first.call("GetView")
        second.call("GetView")
        with Client(at) as third, pytest.raises(ControlError, match="too many connections"):
            third.call("GetView")
        second.close()
        retry = 0
        while retry < 50:
            try:
                with Client(at) as fourth:
                    fourth.call("GetView")
                break
            except ControlError:
                retry += 1
        assert retry < 50


def test_an_idle_client_is_closed(at: Path):
    with served(at, idle_s=0.05), closing(socket.socket(socket.AF_UNIX)) as idle:
        idle.settimeout(5)
        idle.connect(str(at))
        idle.sendall(b'{"method":')

        assert idle.recv(1) == b""


def test_too_many_calls_are_slowed_down_not_refused(client: Client, at: Path):
    replies = raw(at, call("org.varlink.service.GetInfo") * 110, half_close=True)

    assert len(replies) == 110


def test_an_answer_that_never_comes_ends_the_call(at: Path, gateway: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.control.answer.ANSWER_TIMEOUT_S", 0.05)
    gateway.gateway.silent = True

    with Client(at) as asking, pytest.raises(ControlError, match="may still happen"):
        asking.call("ActuateValve", valve="main", wish="close")

    assert gateway.gateway.awaited == 0
