"""What the process that carries updates out asks at the control socket."""

import pytest

from gateway.control import update_methods
from gateway.control.client import Client
from gateway.control.peer import Peer
from gateway.errors import ControlError
from tests.fakes.gateway import Served

REPORT = {
    "update_id": "u-17",
    "kind": "app",
    "target": "app/reed-gateway-2.0.deb",
    "version": "2.0",
    "from_version": "1.9",
    "state": "waiting",
    "code": "",
    "detail": "zone cellar is wet: sump",
    "percent": 0,
    "waits_for": "install",
    "source": "cloud",
    "actor": "alice@example.com",
}


def test_a_lease_says_why_it_is_not_granted(client: Client, gateway: Served):
    gateway.gateway.waits = ["valve main is closing"]

    answer = client.call("RequestLease", step="reboot")

    assert answer == {"granted": False, "reasons": ["valve main is closing"], "valid_for_s": 0.0}


def test_a_lease_is_granted_for_a_bounded_time(client: Client, gateway: Served):
    answer = client.call("RequestLease", step="install")

    assert (answer["granted"], answer["reasons"], answer["valid_for_s"] > 0) == (True, [], True)
    assert gateway.gateway.asked == ["install"]


def test_there_is_no_lease_for_an_unknown_step(client: Client, gateway: Served):
    with pytest.raises(ControlError, match="step"):
        client.call("RequestLease", step="format")

    assert gateway.gateway.asked == []


def test_an_order_of_the_cloud_is_told_with_what_is_known(client: Client, gateway: Served):
    gateway.gateway.order = {"update_id": "u-17", "kind": "os"}

    told = client.call("GetUpdate")

    assert (told["order"], told["cancelled"], told["report"]) == (gateway.gateway.order, [], None)


def test_a_report_is_answered_when_it_is_on_disk(client: Client, gateway: Served):
    assert client.call("ReportUpdate", update=REPORT) == {}

    assert gateway.gateway.reports == [REPORT]


def test_what_a_report_leaves_out_has_a_value_all_the_same(client: Client, gateway: Served):
    client.call("ReportUpdate", update={"update_id": "u", "kind": "os", "version": "2", "state": "verifying"})

    [told] = gateway.gateway.reports
    assert (told["code"], told["percent"], told["source"], told["waits_for"]) == ("", 0, "local", "")


@pytest.mark.parametrize(
    ("key", "value"),
    [("state", "fine"), ("kind", "firmware"), ("percent", 101), ("waits_for", "tea"), ("update_id", "")],
)
def test_a_report_that_makes_no_sense_is_refused(client: Client, gateway: Served, key: str, value: object):
    with pytest.raises(ControlError, match="update"):
        client.call("ReportUpdate", update=REPORT | {key: value})

    assert gateway.gateway.reports == []


def test_a_disk_that_does_not_answer_fails_the_report(
    client: Client, gateway: Served, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(update_methods, "DISK_WAIT_S", 0.1)
    gateway.gateway.disk_works = False

    with pytest.raises(ControlError, match="the disk has not taken it") as caught:
        client.call("ReportUpdate", update=REPORT)

    assert caught.value.exit_status == 1


def test_a_daemon_that_hears_too_much_says_so_at_once(
    client: Client, gateway: Served, monkeypatch: pytest.MonkeyPatch
):
    def refuse(report: object, on_disk: object) -> None:
        raise ControlError("Busy", "say it again in a minute")

    monkeypatch.setattr(gateway.gateway, "report_update", refuse)
    with pytest.raises(ControlError, match="in a minute") as caught:
        client.call("ReportUpdate", update=REPORT)

    assert caught.value.name.endswith("Busy")
    assert client.call("RequestLease", step="install")["granted"] is True


@pytest.mark.parametrize("method", ["RequestLease", "GetUpdate", "ReportUpdate"])
def test_other_users_may_not_even_if_they_may_actuate(
    client: Client, gateway: Served, method: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(update_methods.os, "geteuid", lambda: 4711)
    given = {"RequestLease": {"step": "install"}, "GetUpdate": {}, "ReportUpdate": {"update": REPORT}}
    stranger = Peer(pid=1, uid=1234, groups=frozenset({0}))
    monkeypatch.setattr("gateway.control.peer.of", lambda _connection: stranger)

    with (
        Client(gateway.config.socket) as other,
        pytest.raises(ControlError, match="gateway's own user") as no,
    ):
        other.call(method, **given[method])

    assert no.value.exit_status == 77
    assert (gateway.gateway.asked, gateway.gateway.reports) == ([], [])
