"""The conformance suite over the brokers of Debian 13: mosquitto 2.0.21 and RabbitMQ 4.0.5."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cloud.brokers import open_broker
from cloud.brokers.interface import BrokerAdmin, reconcile
from cloud.brokers.rabbitmq import crl_dir
from cloud.brokers.rabbitmq.api import Api
from cloud.errors import BrokerError
from tests.cloud.broker_administration import Administration
from tests.cloud.broker_crls import Crls
from tests.cloud.broker_denial import Denial
from tests.cloud.broker_rig import Rig, Tell
from tests.cloud.broker_rights import Rights
from tests.fakes.authority import Signer
from tests.fakes.mqtt_peer import Peer, until
from tests.system.harness.brokers import InMachine, MosquittoInMachine, RabbitInMachine
from tests.system.harness.machine import Machine
from tests.system.harness.tree import why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture(scope="module", params=[MosquittoInMachine, RabbitInMachine], ids=["mosquitto", "rabbitmq"])
def rig(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Rig]:
    kind: type[MosquittoInMachine | RabbitInMachine] = request.param
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        machine.path("/srv/reed").mkdir(parents=True)
        broker: InMachine = kind(machine)
        with broker:
            yield broker


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    def print_past_capture(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", end="")  # noqa: T201

    return print_past_capture


class TestRights(Rights):
    pass


class TestDenial(Denial):
    pass


class TestCrls(Crls):
    pass


class TestAdministration(Administration):
    pass


@pytest.mark.parametrize("rig", [RabbitInMachine], ids=["rabbitmq"], indirect=True)
class TestRabbitAlone:
    """What only RabbitMQ can get wrong; administered from this host."""

    @staticmethod
    def _here(rig: RabbitInMachine, **changes: str) -> BrokerAdmin:
        files = {"api_password_file": str(rig.machine.path(rig.settings.api_password_file)), "crl_dir": ""}
        return open_broker(dataclasses.replace(rig.settings, **{**files, **changes}), rig.authority.home)  # type: ignore[arg-type]

    def test_it_is_administered_from_another_machine_as_well(self, rig: RabbitInMachine) -> None:
        admin = self._here(rig)
        admin.grant("alone-1")
        with Peer(rig.authority, "alone-1", rig.port) as one:
            admin.install_crl(rig.authority.crl())
            admin.deny("alone-1")
            assert until(lambda: not one.is_connected)
        assert "alone-1" not in admin.granted()

    def test_a_wrong_password_is_named(self, rig: RabbitInMachine, tmp_path: Path) -> None:
        (tmp_path / "password").write_text("wrong")
        with pytest.raises(BrokerError, match=r"refuses its administrator 'reed' \(401\)"):
            self._here(rig, api_password_file=str(tmp_path / "password")).grant("alone-2")

    def test_a_certificate_of_a_stranger_is_not_trusted(self, rig: RabbitInMachine, tmp_path: Path) -> None:
        (tmp_path / "other.pem").write_bytes(Signer("Other").certificate.public_bytes(Encoding.PEM))
        with pytest.raises(BrokerError, match=r"cannot be reached.*CERTIFICATE_VERIFY_FAILED"):
            self._here(rig, api_ca_file=str(tmp_path / "other.pem")).grant("alone-2")

    def test_who_could_use_every_topic_is_not_granted_until_repaired(self, rig: RabbitInMachine) -> None:
        rig.admin.grant("alone-3")
        password_file = str(rig.machine.path(rig.settings.api_password_file))
        settings = dataclasses.replace(rig.settings, api_password_file=password_file)
        with Api(settings, rig.authority.home) as api:
            api.delete("topic-permissions", settings.vhost, "alone-3")
        assert "alone-3" not in rig.admin.granted()
        rig.admin.grant("alone-3")
        with Peer(rig.authority, "alone-3", rig.port) as one:
            assert not one.subscribe("reed/v1/alone-4/cmd/#")

    @staticmethod
    def _operator(rig: RabbitInMachine) -> Api:
        password_file = str(rig.machine.path(rig.settings.api_password_file))
        return Api(dataclasses.replace(rig.settings, api_password_file=password_file), rig.authority.home)

    def test_a_denied_one_made_anew_with_every_right_is_seen_and_goes(self, rig: RabbitInMachine) -> None:
        others = rig.admin.granted()
        rig.admin.grant("alone-5")
        rig.admin.deny("alone-5")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        with self._operator(rig) as api:
            api.put("users", "alone-5", body={"password_hash": "", "tags": "reed-gateway"})
            api.put("permissions", rig.settings.vhost, "alone-5", body=everything)
        assert "alone-5" not in rig.admin.granted()
        assert reconcile(rig.admin, others).surplus == {"alone-5"}
        assert "alone-5" not in rig.admin.present()

    def test_rights_elsewhere_and_tags_of_an_administrator_are_taken_away(self, rig: RabbitInMachine) -> None:
        rig.admin.grant_all(["alone-6", "alone-7"])
        with self._operator(rig) as api:
            api.put("users", "alone-6", body={"password_hash": "", "tags": "reed-gateway,administrator"})
            topics = {"exchange": "amq.direct", "write": ".*", "read": ".*"}
            api.put("topic-permissions", rig.settings.vhost, "alone-7", body=topics)
            assert not {"alone-6", "alone-7"} & rig.admin.granted()
            rig.admin.grant("alone-6")
            rig.admin.grant_all(["alone-7"])
            assert {"alone-6", "alone-7"} <= rig.admin.granted()
            assert api.get("users", "alone-6")["tags"] == ["reed-gateway"]

    def test_a_user_that_is_not_ours_is_never_touched_and_keeps_no_other_out(
        self, rig: RabbitInMachine
    ) -> None:
        with self._operator(rig) as api:
            api.put("users", "alone-8", body={"password_hash": "", "tags": "monitoring"})
            for call in (
                lambda: rig.admin.grant("alone-8"),
                lambda: rig.admin.deny("alone-8"),
                lambda: rig.admin.grant_all(["alone-8", "alone-9"]),
            ):
                with pytest.raises(BrokerError, match="a user 'alone-8' that reed did not make"):
                    call()
            assert api.get("users", "alone-8")["tags"] == ["monitoring"]
            assert api.get("users", "alone-8", "permissions") == []
            assert "alone-9" in rig.admin.granted()
            assert "alone-8" not in rig.admin.present()
            assert "alone-8" in rig.admin.present({"alone-8"})
            api.delete("users", "alone-8")

    def test_a_rabbitmq_that_does_not_look_at_crls_is_noticed(
        self, rig: RabbitInMachine, tmp_path: Path
    ) -> None:
        elsewhere = tmp_path / "crls"
        elsewhere.mkdir()
        blind = rig.authority.signer.crl([]) + rig.authority.root.crl([])
        crl_dir.place(blind, rig.machine.path(rig.settings.crl_dir))  # names nobody, as if it did not look
        with pytest.raises(BrokerError, match="lets a revoked certificate in"):
            self._here(rig, crl_dir=str(elsewhere)).install_crl(rig.authority.crl())
        rig.admin.install_crl(rig.authority.crl())
