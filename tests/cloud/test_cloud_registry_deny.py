"""Deny, grant, retire: what holds when everything works, when something fails, and when we die in between."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from cloud.ca import crl
from cloud.errors import BrokerError, SignerError, UnknownError
from cloud.home import Home
from cloud.project.setup import start
from cloud.registry import audit, services
from cloud.registry.models import AuditEntry, Gateway
from cloud.registry.parts import parts
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import Device, enrolled

pytestmark = pytest.mark.usefixtures("home")
BY = {"actor": "cli:test", "reason": "because"}
Break = Callable[[ModelBroker, pytest.MonkeyPatch], None]


def may_connect(broker: ModelBroker, device: Device) -> bool:
    try:
        broker.connect(device.certificate)
    except ConnectionRefusedError:
        return False
    return True


def reborn(home: Home, broker: ModelBroker) -> None:
    """Start again on the same home, as after a crash: nothing that was in memory is left but the broker."""
    broker.failing, broker.crashing = set(), set()
    start(home)
    parts()._broker = broker


# --- everything works -------------------------------------------------------------------------------


def test_a_denied_gateway_is_gone_and_cannot_return(broker: ModelBroker):
    device, other = enrolled("gw-1"), enrolled("gw-2")
    broker.connect(device.certificate)
    services.deny("gw-1", **BY)
    assert "gw-1" not in broker.live
    assert not may_connect(broker, device)
    assert may_connect(broker, other)


def test_each_of_broker_and_crl_alone_keeps_it_out(broker: ModelBroker):
    device = enrolled("gw-1")
    services.deny("gw-1", **BY)
    with pytest.raises(ConnectionRefusedError, match="certificate revoked"):
        broker.connect(device.certificate)
    broker.crls = [each for each in broker.crls if crl.number(each) < 0]
    assert "gw-1" not in broker.access


def test_a_granted_gateway_comes_back_with_the_certificate_that_it_has(broker: ModelBroker):
    device = enrolled("gw-1")
    services.deny("gw-1", **BY)
    services.grant("gw-1", **BY)
    assert may_connect(broker, device)
    assert services.find("gw-1").state == "enrolled"


def test_a_certificate_that_is_denied_is_on_hold_and_a_retired_one_is_revoked_for_good(broker: ModelBroker):
    device = enrolled("gw-1")
    services.deny("gw-1", **BY)
    assert reason_on_list(broker, device) == "certificateHold"
    services.retire("gw-1", **BY)
    assert reason_on_list(broker, device) == "keyCompromise"


def reason_on_list(broker: ModelBroker, device: Device) -> str:
    serial = device.certificate.serial_number
    found = [
        entry for each in broker.crls if (entry := each.get_revoked_certificate_by_serial_number(serial))
    ]
    return found[0].extensions.get_extension_for_class(x509.CRLReason).value.reason.value


def test_every_certificate_of_a_denied_gateway_is_refused(broker: ModelBroker):
    device = enrolled("gw-1")
    first = device.certificate
    device.renew()
    services.deny("gw-1", **BY)
    for leaf in (first, device.certificate):
        with pytest.raises(ConnectionRefusedError, match="revoked"):
            broker.connect(leaf)


def test_a_gateway_that_never_enrolled_can_be_denied_and_is_expected_again_when_granted():
    device = Device("gw-1").expected()
    services.deny("gw-1", **BY)
    services.grant("gw-1", **BY)
    assert services.find("gw-1").state == "expected"
    device.enrol()


def test_deny_and_grant_may_be_repeated(broker: ModelBroker):
    device = enrolled("gw-1")
    for decide, expected in ((services.deny, False), (services.grant, True)):
        for _ in range(2):
            decide("gw-1", **BY)
            assert may_connect(broker, device) is expected


@pytest.mark.parametrize("decide", [services.deny, services.grant, services.retire])
def test_nobody_decides_about_an_unknown_gateway(decide: Callable[..., Gateway]):
    with pytest.raises(UnknownError, match="gw-9"):
        decide("gw-9", **BY)


# --- something fails --------------------------------------------------------------------------------


def test_a_dead_broker_does_not_keep_the_crl_from_denying(broker: ModelBroker):
    device = enrolled("gw-1")
    broker.failing = {"deny"}
    with pytest.raises(BrokerError, match="gw-1 is denied, but the broker did not follow"):
        services.deny("gw-1", **BY)
    assert services.find("gw-1").state == "denied"
    with pytest.raises(ConnectionRefusedError, match="revoked"):
        broker.connect(device.certificate)
    assert AuditEntry.objects.filter(action="broker", outcome="failed", subject="gw-1").exists()


def test_a_dead_authority_does_not_keep_the_broker_from_denying(
    broker: ModelBroker, monkeypatch: pytest.MonkeyPatch
):
    device = enrolled("gw-1")
    broker.connect(device.certificate)
    monkeypatch.setattr(parts().issuer, "crl", _raising(SignerError("the module is gone")))
    with pytest.raises(BrokerError, match="gw-1 is denied, but the CRL did not follow: the module is gone"):
        services.deny("gw-1", **BY)
    assert broker.live == set()
    assert not may_connect(broker, device)
    assert AuditEntry.objects.filter(action="crl", outcome="failed").exists()
    monkeypatch.undo()
    assert services.reconcile().crl is not None
    with pytest.raises(ConnectionRefusedError, match="revoked"):
        broker.connect(device.certificate)


def test_an_error_that_nobody_foresaw_does_not_keep_the_other_half_from_denying(
    broker: ModelBroker, monkeypatch: pytest.MonkeyPatch
):
    device = enrolled("gw-1")
    monkeypatch.setattr(broker, "deny", _raising(ZeroDivisionError("a defect")))
    with pytest.raises(BrokerError, match="a defect"):
        services.deny("gw-1", **BY)
    assert not may_connect(broker, device)


def test_what_failed_is_tried_again_by_reconcile_until_it_works(broker: ModelBroker):
    device = enrolled("gw-1")
    broker.failing = {"deny", "install_crl"}
    with pytest.raises(BrokerError, match=r"the broker did not follow.*the CRL did not follow"):
        services.deny("gw-1", **BY)
    assert len(services.reconcile().problems) == 2
    assert may_connect(broker, device), "both ways were broken"
    broker.failing = set()
    report = services.reconcile()
    assert (report.denied, report.problems) == (("gw-1",), ())
    assert not may_connect(broker, device)
    assert services.reconcile() == type(report)(), "nothing is left to do"


def test_a_broker_that_lost_its_list_gets_it_back_and_a_stranger_on_it_goes(broker: ModelBroker):
    devices = [enrolled(f"gw-{number}") for number in range(3)]
    services.deny("gw-2", **BY)
    broker.access = {"gw-2", "intruder"}
    report = services.reconcile()
    assert (report.granted, report.denied) == (("gw-0", "gw-1"), ("gw-2", "intruder"))
    assert [may_connect(broker, device) for device in devices] == [True, True, False]


# --- we die in between ------------------------------------------------------------------------------


def _raising(error: BaseException) -> Callable[..., None]:
    def call(*_: object, **__: object) -> None:
        raise error

    return call


def in_the_transaction(_: ModelBroker, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(audit, "record", _raising(KeyboardInterrupt()))


def before_the_broker(broker: ModelBroker, _: pytest.MonkeyPatch) -> None:
    broker.crashing = {"deny", "grant"}


def before_the_crl_is_signed(_: ModelBroker, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(parts().issuer, "crl", _raising(KeyboardInterrupt()))


def while_the_crl_is_written(_: ModelBroker, patch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def crash(path: Path, target: Path) -> Path:
        if Path(target).name == "crl.pem":
            raise KeyboardInterrupt
        return replace(path, target)

    patch.setattr(Path, "replace", crash)


def before_the_broker_follows_the_crl(broker: ModelBroker, _: pytest.MonkeyPatch) -> None:
    broker.crashing = {"install_crl"}


AFTER_THE_DECISION = [
    before_the_broker,
    before_the_crl_is_signed,
    while_the_crl_is_written,
    before_the_broker_follows_the_crl,
]


@pytest.mark.parametrize("crash", AFTER_THE_DECISION)
@pytest.mark.parametrize(
    ("decide", "state", "connects"),
    [
        (services.deny, "denied", False),
        (services.retire, "retired", False),
        (services.grant, "enrolled", True),
    ],
)
def test_a_decision_survives_a_crash_at_any_step_after_it(  # noqa: PLR0917
    home: Home,
    broker: ModelBroker,
    monkeypatch: pytest.MonkeyPatch,
    crash: Break,
    decide: Callable[..., Gateway],
    state: str,
    connects: bool,
):
    device = enrolled("gw-1")
    if decide is services.grant:
        services.deny("gw-1", **BY)
    with monkeypatch.context() as patch:
        crash(broker, patch)
        with pytest.raises(KeyboardInterrupt):
            decide("gw-1", **BY)
    reborn(home, broker)
    services.reconcile()
    assert services.find("gw-1").state == state
    assert may_connect(broker, device) is connects
    assert services.verify_audit().problem == ""
    assert not list(home.ca.glob(".crl.pem.*")), "no half-written file stays"
    number = crl.number(crl.read(home.crl_file.read_bytes())[0])
    assert services.publish_crl().number > number


def test_a_crash_within_the_transaction_decides_nothing(
    home: Home, broker: ModelBroker, monkeypatch: pytest.MonkeyPatch
):
    device = enrolled("gw-1")
    with monkeypatch.context() as patch:
        in_the_transaction(broker, patch)
        with pytest.raises(KeyboardInterrupt):
            services.deny("gw-1", **BY)
    reborn(home, broker)
    assert not services.reconcile().denied
    assert services.find("gw-1").state == "enrolled"
    assert may_connect(broker, device)


def test_a_denial_while_an_enrolment_is_under_way_is_what_holds(
    broker: ModelBroker, monkeypatch: pytest.MonkeyPatch
):
    """The broker's grant comes after the denial was carried out: it is taken back at once."""
    device = Device("gw-1").expected()
    grant = broker.grant

    def slow(gateway_id: str) -> None:
        monkeypatch.setattr(broker, "grant", grant)
        services.deny(gateway_id, **BY)
        grant(gateway_id)

    monkeypatch.setattr(broker, "grant", slow)
    device.enrol()
    assert broker.access == set()
    assert not may_connect(broker, device)
