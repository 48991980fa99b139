import json
import os
from pathlib import Path

import pytest
import varlink
from varlink.scanner import Interface

from gateway.control.client import Client
from gateway.control.service import interface_description
from gateway.domain.events import OccupancyRequested, ResetRequested, ShelveRequested, ValveRequested
from gateway.domain.model import Actor, ActorKind, Occupancy, Wish
from gateway.errors import ControlError
from tests.control.wire import call, raw, until
from tests.fakes.gateway import LEAK, Served


def test_everything_there_is_to_see_comes_in_one_reply(client: Client, gateway: Served):
    assert client.call("GetView")["view"] == gateway.gateway.view()


def test_the_view_holds_what_the_interface_promises(client: Client):
    interface = Interface(interface_description())
    view = client.call("GetView")["view"]

    for type_name, entries in (
        ("Zone", view["zones"].values()),
        ("Sensor", view["sensors"].values()),
        ("Valve", view["valves"].values()),
        ("Meter", view["meters"].values()),
        ("FlowRule", view["flow_rules"].values()),
        ("Alarm", view["alarms"]),
        ("Update", [view["update"]]),
        ("View", [view]),
    ):
        for entry in entries:
            assert set(entry) == set(interface.members[type_name].type.fields)


def test_every_method_of_the_interface_is_served(at: Path, gateway: Served):
    interface = Interface(interface_description())
    names = [name for name, member in interface.members.items() if type(member).__name__ == "_Method"]

    for name in names:
        replies = raw(at, call(f"org.reed.Gateway.{name}", surplus=1), half_close=True)
        assert replies == [
            {"parameters": {"parameter": "surplus"}, "error": "org.varlink.service.InvalidParameter"}
        ] or (replies[0]["error"] == "org.varlink.service.InvalidParameter")
    assert len(names) == 15


def test_a_foreign_varlink_client_can_introspect_and_call(at: Path, gateway: Served):
    with varlink.Client(f"unix:{at}") as foreign:
        assert foreign.get_interfaces() == ["org.reed.Gateway", "org.varlink.service"]
        with foreign.open("org.reed.Gateway") as opened:
            assert opened.GetView()["view"]["zones"]["plant-room"]["state"] == "alarm"
            with pytest.raises(varlink.VarlinkError) as caught:
                opened.ResetAlarm(LEAK, "all dry")
            assert caught.value.error() == "org.reed.Gateway.Refused"
            replies = opened.GetEvents(_more=True)
            assert next(replies)["messages"] == []


def test_a_foreign_client_reads_the_same_definition_of_the_service_itself(at: Path, gateway: Served):
    [reply] = raw(
        at,
        call("org.varlink.service.GetInterfaceDescription", interface="org.varlink.service"),
        half_close=True,
    )

    members = Interface(reply["parameters"]["description"]).members
    assert {"GetInfo", "GetInterfaceDescription", "InvalidParameter"} <= set(members)


def test_closing_a_valve_is_asked_of_the_core_in_the_callers_name(client: Client, gateway: Served):
    replies = client.stream("ActuateValve", valve="main", wish="close", cause="drip", timeout_s=5)
    first = next(replies)

    [event] = gateway.gateway.events
    assert first["state"] == "executing"
    assert isinstance(event, ValveRequested)
    assert (event.valve_id, event.wish, event.request.cause) == ("main", Wish.CLOSE, "drip")
    assert event.request.actor == Actor(ActorKind.LOCAL, f"uid:{os.getuid()}")
    assert event.request.may_open


def test_a_close_is_answered_again_when_the_valve_is_closed(client: Client, gateway: Served):
    replies = client.stream("ActuateValve", valve="main", wish="close", timeout_s=5)
    next(replies)
    gateway.do(lambda: gateway.gateway.arrive("main"))

    assert [reply["state"] for reply in replies] == ["succeeded"]
    assert gateway.gateway.awaited == 0


def test_a_caller_that_wants_one_reply_gets_the_final_one(at: Path, gateway: Served):
    with Client(at) as asking, Client(at) as other:
        asking._send("ActuateValve", {"valve": "main", "wish": "close"}, more=False)
        until(lambda: gateway.gateway.events, gateway)
        assert other.call("GetView")["view"]["valves"]["main"]["state"] == "closing"
        gateway.do(lambda: gateway.gateway.arrive("main"))

        assert asking._receive(5)["parameters"]["state"] == "succeeded"


def test_the_cores_refusal_says_why(client: Client):
    with pytest.raises(ControlError, match="dry for 20 of 60 s") as caught:
        client.call("ResetAlarm", alarm=LEAK, cause="mopped up")

    assert (caught.value.name, caught.value.exit_status) == ("org.reed.Gateway.Refused", 75)


def test_a_failure_is_told_apart_from_a_refusal(client: Client):
    with pytest.raises(ControlError, match="did not reach its end") as caught:
        client.call("ExerciseValve", valve="main")

    assert caught.value.exit_status == 1


def test_occupancy_is_asked_of_the_core_in_the_callers_name(client: Client, gateway: Served):
    client.call("SetOccupancy", mode="unoccupied", cause="closed over Christmas")

    [event] = gateway.gateway.events
    assert isinstance(event, OccupancyRequested)
    assert (event.mode, event.request.cause) == (Occupancy.UNOCCUPIED, "closed over Christmas")
    assert event.request.actor == Actor(ActorKind.LOCAL, f"uid:{os.getuid()}")


def test_an_unknown_mode_of_occupancy_never_reaches_the_core(client: Client, gateway: Served):
    with pytest.raises(ControlError, match="mode"):
        client.call("SetOccupancy", mode="asleep")

    assert gateway.gateway.events == []


def test_an_unknown_valve_never_reaches_the_core(client: Client, gateway: Served):
    with pytest.raises(ControlError, match="there is: main, kitchen") as caught:
        client.call("ActuateValve", valve="mian", wish="close")

    assert caught.value.exit_status == 66
    assert gateway.gateway.events == []


@pytest.mark.parametrize(
    ("method", "parameters", "wrong"),
    [
        ("ActuateValve", {"valve": "main", "wish": "explode"}, "wish"),
        ("ActuateValve", {"valve": "main"}, "wish"),
        ("ActuateValve", {"valve": 7, "wish": "close"}, "valve"),
        ("ActuateValve", {"valve": "main", "wish": "close", "cause": "x" * 501}, "cause"),
        ("ResetAlarm", {"alarm": LEAK, "cause": ""}, "cause"),
        ("ShelveAlarm", {"alarm": LEAK, "cause": "x", "duration_s": -1}, "duration_s"),
        ("ShelveAlarm", {"alarm": LEAK, "cause": "x", "duration_s": 1e12}, "duration_s"),
        ("Watch", {"interval_ms": 1}, "interval_ms"),
        ("GetEvents", {"limit": -1}, "limit"),
        ("WalkTest", {"zone": "plant-room", "on": "yes"}, "on"),
        ("GetView", {"surplus": 1}, "surplus"),
    ],
)
def test_a_wrong_parameter_is_named(
    client: Client, gateway: Served, method: str, parameters: dict[str, object], wrong: str
):
    with pytest.raises(ControlError) as caught:
        client.call(method, **parameters)

    assert caught.value.name == "org.varlink.service.InvalidParameter"
    assert str(caught.value).endswith(f": {wrong}")
    assert gateway.gateway.events == []


def test_requests_carry_their_cause_and_time(client: Client, gateway: Served):
    client.call("ShelveAlarm", alarm=LEAK, duration_s=600, cause="plumber at work")
    with pytest.raises(ControlError):
        client.call("ResetAlarm", alarm=LEAK, cause="dry")

    shelve, reset = gateway.gateway.events
    assert isinstance(shelve, ShelveRequested)
    assert (shelve.duration_s, shelve.request.cause) == (600.0, "plumber at work")
    assert isinstance(reset, ResetRequested)
    assert shelve.request.command_id != reset.request.command_id


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("org.reed.Gateway.Explode", "org.varlink.service.MethodNotFound"),
        ("org.example.Other.Method", "org.varlink.service.InterfaceNotFound"),
        ("nonsense", "org.varlink.service.InterfaceNotFound"),
        ("", "org.varlink.service.InterfaceNotFound"),
    ],
)
def test_an_unknown_method_is_told_by_the_standard_error(at: Path, gateway: Served, method: str, error: str):
    [reply] = raw(at, call(method), half_close=True)

    assert reply["error"] == error


def test_a_watch_without_more_is_told_to_use_it(at: Path, gateway: Served):
    [reply] = raw(at, call("org.reed.Gateway.Watch"), half_close=True)

    assert reply["error"] == "org.varlink.service.ExpectedMore"


def test_pipelined_calls_are_answered_in_order(at: Path, gateway: Served):
    frames = [call("org.reed.Gateway.GetEvents"), call("nonsense"), call("org.varlink.service.GetInfo")]

    replies = raw(at, b"".join(frames), half_close=True)

    assert ["error" in reply for reply in replies] == [False, True, False]


def test_a_oneway_call_acts_and_says_nothing(at: Path, gateway: Served):
    frame = {"method": "org.reed.Gateway.AcknowledgeAlarm", "parameters": {"alarm": LEAK}, "oneway": True}

    replies = raw(
        at, json.dumps(frame).encode() + b"\0", call("org.varlink.service.GetInfo"), half_close=True
    )

    assert len(replies) == 1
    assert len(gateway.gateway.events) == 1


def test_null_parameters_are_no_parameters(at: Path, gateway: Served):
    [reply] = raw(at, b'{"method":"org.reed.Gateway.GetView","parameters":null}\0', half_close=True)

    assert "view" in reply["parameters"]


def test_a_new_certificate_is_looked_for_when_told(client: Client, gateway: Served):
    assert "looks for its certificate" in client.call("UseIdentity")["detail"]
    assert gateway.gateway.nudges == 1


def test_a_gateway_without_a_cloud_says_so_to_who_brings_a_certificate(client: Client, gateway: Served):
    gateway.gateway.has_cloud = False

    with pytest.raises(ControlError, match=r"no \[link\]") as caught:
        client.call("UseIdentity")

    assert caught.value.name == "org.reed.Gateway.NoCloud"
