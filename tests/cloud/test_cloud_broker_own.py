"""What is mosquitto's alone: its access list, its configuration, who may administer it."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloud.brokers.interface import drift
from cloud.brokers.mosquitto import config, rights
from cloud.brokers.mosquitto.control import Control
from cloud.errors import BrokerError
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.mqtt_peer import Peer

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


def ask(broker: Mosquitto, command: str, **values: object) -> Mapping[str, Any]:
    with Control(broker.settings, broker.home) as control:
        [answer] = control.ask([{"command": command, **values}])
    assert "error" not in answer, answer
    data: Mapping[str, Any] = answer.get("data", {})
    return data


def is_served(broker: Mosquitto, name: str) -> bool:
    with Peer(broker.authority, name, broker.port) as peer:
        return peer.subscribe(f"reed/v1/{name}/cmd/#") and not peer.subscribe("reed/v1/other/cmd/#")


def test_what_no_role_allows_is_denied_receiving_included(broker: Mosquitto) -> None:
    acls = ask(broker, "getDefaultACLAccess")["acls"]
    assert {acl["acltype"]: acl["allow"] for acl in acls} == {
        "publishClientSend": False,
        "publishClientReceive": False,
        "subscribe": False,
        "unsubscribe": True,
    }


@pytest.mark.parametrize(
    ("command", "values"),
    [
        ("disableClient", {"username": "gw-1"}),
        ("removeClientRole", {"username": "gw-1", "rolename": "only-gw-1"}),
        ("modifyRole", {"rolename": "only-gw-1", "acls": []}),
        (
            "addRoleACL",
            {
                "rolename": "only-gw-1",
                "acltype": "subscribePattern",
                "topic": "#",
                "priority": 9,
                "allow": True,
            },
        ),
        ("addClientRole", {"username": "gw-1", "rolename": "only-ingest"}),
    ],
)
def test_granting_again_repairs_rights_that_somebody_has_changed(
    broker: Mosquitto, command: str, values: dict[str, object]
) -> None:
    broker.admin.grant("gw-1")
    ask(broker, command, **values)
    broker.admin.grant("gw-1")
    assert is_served(broker, "gw-1")
    assert not ask(broker, "getClient", username="gw-1")["client"].get("disabled", False)


def test_who_lacks_its_role_is_not_granted(broker: Mosquitto) -> None:
    broker.admin.grant_all(["gw-1", "gw-2"])
    ask(broker, "removeClientRole", username="gw-1", rolename="only-gw-1")
    assert broker.admin.granted() == {"gw-2"}


def test_the_access_list_for_a_start_has_the_services_and_these_gateways_only(broker: Mosquitto) -> None:
    broker.admin.grant("gw-old")
    with broker.stopped():
        config.write_access(broker.home, ["gw-1", "gw-2"])
    assert broker.admin.granted() == {"gw-1", "gw-2"}
    assert is_served(broker, "gw-1")


def test_a_damaged_access_list_lets_nobody_in_and_is_written_anew(broker: Mosquitto) -> None:
    broker.admin.grant("gw-1")
    with broker.stopped():
        config.access_file(broker.home).write_text('{"clients": [')
    with pytest.raises(BrokerError, match="does not let broker-admin administer it"):
        broker.admin.granted()
    with broker.stopped():
        config.write_access(broker.home, ["gw-1"])
    assert broker.admin.granted() == {"gw-1"}


def test_another_service_cannot_administer(broker: Mosquitto) -> None:
    for kind in ("pem", "key"):
        services = broker.home.services
        shutil.copy(services / f"ingest.{kind}", services / f"broker-admin.{kind}")
    with pytest.raises(BrokerError, match="does not let broker-admin administer it"):
        broker.admin.deny("gw-1")


def test_a_missing_certificate_of_ours_is_named(broker: Mosquitto) -> None:
    broker.home.cert_file("broker-admin").unlink()
    with pytest.raises(BrokerError, match=r"certificate of broker-admin .* cannot be used"):
        broker.admin.granted()


def test_several_of_a_service_connect_at_once_but_only_one_of_a_gateway(broker: Mosquitto) -> None:
    broker.admin.grant("gw-1")
    with (
        Peer(broker.authority, "ingest", broker.ingest_port, client_id="ingest-1") as first,
        Peer(broker.authority, "ingest", broker.ingest_port, client_id="ingest-2") as second,
    ):
        assert first.subscribe("reed/v1/+/up/#")
        assert second.subscribe("reed/v1/+/up/#")
    with (
        Peer(broker.authority, "gw-1", broker.port, client_id="one") as former,
        Peer(broker.authority, "gw-1", broker.port, client_id="two") as latter,
    ):
        assert latter.subscribe("reed/v1/gw-1/cmd/#")
        assert not former.is_connected


def test_a_payload_as_large_as_the_protocol_allows_passes_and_a_larger_one_does_not(
    broker: Mosquitto,
) -> None:
    broker.admin.grant("gw-1")
    with Peer(broker.authority, "gw-1", broker.port) as one:
        assert one.publish("reed/v1/gw-1/up/state", bytes(128 * 1024)) or one.is_connected
        assert not one.publish("reed/v1/gw-1/up/state", bytes(256 * 1024))
        assert not one.is_connected


def test_the_access_list_grants_what_the_protocol_says_to_the_letter() -> None:
    document = json.loads(json.dumps(rights.document(["gw-1"])))
    [role] = [each for each in document["roles"] if each["rolename"] == "only-gw-1"]
    assert {(acl["acltype"], acl["topic"], acl["allow"]) for acl in role["acls"]} == {
        ("publishClientSend", "reed/v1/gw-1/up/#", True),
        ("publishClientReceive", "reed/v1/gw-1/cmd/#", True),
        ("subscribePattern", "reed/v1/gw-1/cmd/#", True),
    }
    assert [each["username"] for each in document["clients"]] == ["broker-admin", "ingest", "gw-1"]


@pytest.mark.parametrize(
    ("wanted", "granted", "present", "missing", "surplus"),
    [
        ("", "", "", "", ""),
        ("ab", "", "", "ab", ""),
        ("", "ab", "ab", "", "ab"),
        ("ab", "bc", "bc", "a", "c"),
        ("ab", "ba", "ab", "", ""),
        ("ab", "b", "abc", "a", "c"),  # a and c are there, with other rights than ours
    ],
)
def test_drift_is_what_each_side_has_alone(
    wanted: str, granted: str, present: str, missing: str, surplus: str
) -> None:
    found = drift(wanted, granted, present)
    assert (found.missing, found.surplus) == (frozenset(missing), frozenset(surplus))
    assert bool(found) == bool(missing or surplus)
