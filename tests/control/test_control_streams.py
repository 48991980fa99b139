from pathlib import Path

from gateway.control.client import Client
from tests.control.wire import until
from tests.fakes.gateway import Served, served


def test_a_watch_shows_a_change_at_once(client: Client, gateway: Served):
    views = client.stream("Watch", interval_ms=60_000, timeout_s=5)
    assert next(views)["view"]["valves"]["main"]["state"] == "open"
    gateway.do(lambda: gateway.gateway.arrive("main"))

    reply = next(views)

    assert reply["view"]["valves"]["main"]["state"] == "closed"
    assert [message["kind"] for message in reply["messages"]] == ["valve"]


def test_a_watch_goes_on_while_nothing_changes(client: Client):
    views = client.stream("Watch", interval_ms=100, timeout_s=5)

    assert [next(views)["messages"] for _ in range(3)] == [[], [], []]


def test_a_watch_begins_with_the_last_messages(client: Client, gateway: Served):
    for n in range(60):
        gateway.do(lambda n=n: gateway.gateway.publish("note", {"n": n}))

    first = next(client.stream("Watch", timeout_s=5))

    assert [message["body"]["n"] for message in first["messages"]] == list(range(10, 60))


def test_changes_close_together_come_in_one_reply(client: Client, gateway: Served):
    views = client.stream("Watch", interval_ms=60_000, timeout_s=5)
    next(views)
    gateway.do(lambda: [gateway.gateway.publish("note", {"n": n}) for n in range(300)])

    reply = next(views)

    assert reply["missed"] == 300 - len(reply["messages"])
    assert reply["messages"][-1]["body"] == {"n": 299}


def test_events_are_followed_without_a_gap(client: Client, gateway: Served):
    gateway.do(lambda: [gateway.gateway.publish("note", {"n": n}) for n in range(5)])
    events = client.stream("GetEvents", limit=2, timeout_s=5)
    first = next(events)
    gateway.do(lambda: gateway.gateway.publish("note", {"n": 5}))

    numbers = [message["body"]["n"] for reply in (first, next(events)) for message in reply["messages"]]

    assert numbers == [3, 4, 5]


def test_events_once_end_after_one_reply(client: Client, gateway: Served):
    gateway.do(lambda: [gateway.gateway.publish("note", {"n": n}) for n in range(5)])

    assert len(client.call("GetEvents")["messages"]) == 5
    assert client.call("GetEvents", limit=0)["messages"] == []


def test_a_client_that_leaves_lets_go_of_everything(at: Path, gateway: Served):
    with Client(at) as leaving, Client(at) as asking:
        next(leaving.stream("Watch", timeout_s=5))
        next(asking.stream("ActuateValve", valve="main", wish="close", timeout_s=5))
        assert (gateway.gateway.listeners, gateway.gateway.awaited) == (1, 1)

    until(lambda: not gateway.gateway.listeners and not gateway.gateway.awaited, gateway)


def test_a_live_view_is_not_idle(at: Path):
    with served(at, idle_s=0.15), Client(at) as watching:
        views = watching.stream("Watch", interval_ms=100, timeout_s=5)

        assert [next(views)["missed"] for _ in range(4)] == [0, 0, 0, 0]
