"""Conformance of a broker: its administration, repeated, at the same time, without a broker."""

import gc
import threading
import time
import warnings
from contextlib import suppress

import pytest

from cloud.brokers.interface import reconcile
from cloud.errors import BrokerError
from tests.cloud.broker_rig import Rig, Tell, cmd, gateway, up
from tests.fakes.mqtt_peer import until


class Administration:
    """The interface itself: repeated, at the same time, without a broker, with wrong input."""

    def test_everything_may_be_repeated_and_a_repeated_grant_disturbs_nobody(self, rig: Rig) -> None:
        rig.admin.grant("admin-1")
        with gateway(rig, "admin-1") as one:
            rig.admin.grant("admin-1")
            rig.admin.grant_all(["admin-1", "admin-1", "admin-2"])
            rig.admin.kick("admin-2")
            rig.admin.deny("admin-2")
            rig.admin.deny("admin-2")
            rig.admin.kick("admin-2")
            assert {"admin-1", "admin-2"} & rig.admin.granted() == {"admin-1"}
            assert one.publish(up("admin-1"), b"still here") or one.is_connected
            assert not one.lost_at_s

    def test_services_are_not_gateways(self, rig: Rig) -> None:
        assert not {"ingest", "broker-admin", "revoked-probe"} & rig.admin.granted()
        for name in ("ingest", "broker-admin", "Capital", "slash/ed", "wild+", "#", "", "a" * 64, "dot.ted"):
            with pytest.raises(BrokerError):
                rig.admin.grant(name)

    def test_many_are_granted_together(self, rig: Rig, tell: Tell) -> None:
        ids = {f"many-{number}" for number in range(200)}
        began_s = time.monotonic()
        rig.admin.grant_all(ids)
        tell(f"{rig.name}: 200 gateways granted in {time.monotonic() - began_s:.2f} s")
        assert ids <= rig.admin.granted()
        assert rig.admin.stats().granted >= len(ids)
        with gateway(rig, "many-137") as one:
            assert one.subscribe(cmd("many-137", "#"))
            assert not one.subscribe(cmd("many-138", "#"))

    def test_reconciling_grants_what_is_missing_and_denies_what_is_too_much(self, rig: Rig) -> None:
        others = rig.admin.granted()
        rig.admin.grant_all(["reconcile-1", "reconcile-2"])
        with gateway(rig, "reconcile-1") as surplus, gateway(rig, "reconcile-2") as kept:
            found = reconcile(rig.admin, {*others, "reconcile-2", "reconcile-3"} - {"reconcile-1"})
            assert (set(found.missing), set(found.surplus)) == ({"reconcile-3"}, {"reconcile-1"})
            assert until(lambda: not surplus.is_connected)
            assert kept.is_connected
        assert rig.admin.granted() == {*others, "reconcile-2", "reconcile-3"} - {"reconcile-1"}
        assert not reconcile(rig.admin, rig.admin.granted())

    def test_several_administrators_do_not_mix_up_their_answers(self, rig: Rig) -> None:
        failures: list[BaseException] = []

        def administer(number: int) -> None:
            try:
                for name in (f"thread-{number}-{turn}" for turn in range(8)):
                    rig.admin.grant(name)
                    assert name in rig.admin.granted()
                    rig.admin.deny(name)
                    assert name not in rig.admin.granted()
            except BaseException as error:  # noqa: BLE001  # told in the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=administer, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []

    def test_without_a_broker_every_call_fails_soon_and_clearly(self, rig: Rig) -> None:
        with rig.stopped():
            self._fails_soon(rig)
        rig.admin.grant("admin-3")

    def test_a_broker_that_does_not_answer_is_not_waited_for(self, rig: Rig) -> None:
        with rig.frozen():
            self._fails_soon(rig)
        rig.admin.grant("admin-3")

    @staticmethod
    def _fails_soon(rig: Rig) -> None:
        for call in (lambda: rig.admin.deny("admin-3"), rig.admin.granted):
            began_s = time.monotonic()
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", ResourceWarning
                )  # paho drops the socket of a failed handshake
                with pytest.raises(BrokerError) as caught:
                    call()
                said = str(caught.value)
                del caught
                gc.collect()
            assert time.monotonic() - began_s < rig.timeout_s + 2.0
            assert "\n" not in said

    def test_it_tells_its_version_and_its_connections(self, rig: Rig) -> None:
        def sees_one() -> bool:
            with suppress(BrokerError):  # RabbitMQ comes to itself slowly after the story before
                return (rig.admin.stats().connected or 0) >= 1
            return False

        rig.admin.grant("admin-4")
        with gateway(rig, "admin-4"):
            assert until(sees_one)
            assert rig.admin.stats().version.split()[-1].count(".") == 2
