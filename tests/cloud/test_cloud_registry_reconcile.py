"""A broker that is away, hangs, or knows more than we gave: what reconciling does, and what it records."""

import pytest

from cloud.errors import BrokerError
from cloud.registry import services
from cloud.registry.models import AuditEntry
from tests.cloud.test_cloud_registry_deny import BY, may_connect
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import enrolled

pytestmark = pytest.mark.usefixtures("home")


def test_a_denied_gateway_that_came_back_with_other_rights_is_denied_again(broker: ModelBroker):
    device = enrolled("gw-1")
    services.deny("gw-1", **BY)
    broker.altered = {"gw-1"}
    assert services.reconcile().denied == ("gw-1",)
    assert not may_connect(broker, device)


def test_an_enrolled_gateway_with_other_rights_gets_its_own_back(broker: ModelBroker):
    enrolled("gw-1")
    broker.altered = {"gw-1"}
    assert services.reconcile().granted == ("gw-1",)
    assert broker.altered == set()


def test_a_broker_that_is_away_for_long_is_recorded_once_and_so_is_its_return(broker: ModelBroker):
    enrolled("gw-1")
    broker.failing = {"granted"}
    for _ in range(12):
        assert services.reconcile().problems
    broker.failing = set()
    for _ in range(2):
        services.reconcile()
    told = AuditEntry.objects.filter(action="reconcile", subject="broker").order_by("seq")
    assert [each.outcome for each in told] == ["failed", "done"]


def test_a_broker_that_hangs_is_waited_for_once_and_gets_the_crl_later(
    broker: ModelBroker, monkeypatch: pytest.MonkeyPatch
):
    device = enrolled("gw-1")
    now_s = [0.0]

    def hang(_: str) -> None:
        now_s[0] += 5.0
        raise BrokerError("the broker does not answer")

    broker.calls.clear()
    with monkeypatch.context() as patch:
        patch.setattr("cloud.registry.decisions.time.monotonic", lambda: now_s[0])
        patch.setattr(broker, "deny", hang)
        with pytest.raises(BrokerError, match="gw-1 is denied, but the broker did not follow"):
            services.deny("gw-1", **BY)
    assert now_s == [5.0]
    assert "install_crl" not in broker.calls
    assert services.reconcile().denied == ("gw-1",)
    with pytest.raises(ConnectionRefusedError, match="revoked"):
        broker.connect(device.certificate)
