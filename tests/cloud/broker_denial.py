"""Conformance of a broker: a denied gateway is gone and stays out, and nobody else notices."""

import time

import pytest

from tests.cloud.broker_rig import (
    GONE_S,
    Rig,
    Talker,
    Tell,
    allow,
    cmd,
    deny,
    gateway,
    ingest,
    said_by,
    talk_reaches,
    up,
)
from tests.fakes.mqtt_peer import until


class Denial:
    """A denied gateway is out and stays out; nobody else notices."""

    def test_a_denied_gateway_is_gone_within_seconds_and_cannot_return(self, rig: Rig, tell: Tell) -> None:
        rig.admin.grant("denied-1")
        with ingest(rig) as cloud, Talker(rig, "denied-1") as one:
            assert cloud.subscribe("reed/v1/+/up/#")
            assert talk_reaches(cloud, "denied-1")
            began_s = time.monotonic()
            deny(rig, "denied-1")
            took_s = time.monotonic() - began_s
            assert until(lambda: not one.peer.is_connected)
            heard, said, refused = len(cloud.heard), one.said, len(one.peer.refusals)
            assert until(lambda: one.said > said + 20 and len(one.peer.refusals) > refused + 1, 15.0)
            assert cloud.publish(cmd("denied-1"), b"open the valve")
            assert not until(lambda: bool(one.peer.heard), 0.5)
            assert len(cloud.heard) == heard
            assert not one.peer.is_connected
            gone_s = one.peer.lost_at_s[-1] - began_s
        tell(f"{rig.name}: deny: gone for good after {gone_s:.3f} s, all returned after {took_s:.3f} s")
        assert max(gone_s, took_s) <= GONE_S

    def test_rights_alone_keep_a_denied_gateway_from_everything(self, rig: Rig) -> None:
        rig.admin.grant("denied-2")
        with ingest(rig) as cloud, gateway(rig, "denied-2") as one:
            assert cloud.subscribe("reed/v1/+/up/#")
            rig.admin.deny("denied-2")
            assert until(lambda: not one.is_connected)
            for attempt, topic in (("publish", up("denied-2")), ("subscribe", cmd("denied-2", "#"))):
                again = gateway(rig, "denied-2")
                assert not (again.connect() and getattr(again, attempt)(topic))
                again.leave()
            assert not until(lambda: bool(cloud.heard), 0.3)

    def test_the_crl_alone_refuses_the_next_handshake(self, rig: Rig) -> None:
        if not rig.obeys_crl:
            pytest.skip("this broker is not given CRLs")
        rig.admin.grant("denied-3")
        rig.admin.install_crl(rig.authority.hold("denied-3"))
        one = gateway(rig, "denied-3")
        assert not one.connect()
        one.leave()
        rig.admin.install_crl(rig.authority.release("denied-3"))
        with gateway(rig, "denied-3"):
            pass

    def test_denying_one_does_not_disturb_another(self, rig: Rig) -> None:
        rig.admin.grant_all(["denied-4", "denied-5"])
        with ingest(rig) as cloud, Talker(rig, "denied-5") as other, gateway(rig, "denied-4"):
            assert cloud.subscribe("reed/v1/+/up/#")
            assert talk_reaches(cloud, "denied-5")
            deny(rig, "denied-4")
            last = b"%d" % (other.said + 5)
            assert until(lambda: last in said_by(cloud, "denied-5"))
            numbers = [int(each) for each in said_by(cloud, "denied-5")]
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
            assert not other.peer.lost_at_s

    def test_granted_again_the_same_certificate_is_good(self, rig: Rig) -> None:
        rig.admin.grant("denied-6")
        deny(rig, "denied-6")
        allow(rig, "denied-6")
        with ingest(rig) as cloud, gateway(rig, "denied-6") as one:
            assert one.subscribe(cmd("denied-6", "#"))
            assert one.publish(up("denied-6")) or until(lambda: one.is_connected)
            assert cloud.publish(cmd("denied-6"), b"welcome back")
            assert until(lambda: one.heard_payloads() == [b"welcome back"])

    def test_a_gateway_denied_while_away_gets_nothing_that_waited_for_it(self, rig: Rig) -> None:
        rig.admin.grant("denied-7")
        with gateway(rig, "denied-7", session_s=600) as one:
            assert one.subscribe(cmd("denied-7", "#"))
        with ingest(rig) as cloud:
            assert cloud.publish(cmd("denied-7"), b"waits")
            rig.admin.deny("denied-7")  # rights alone: the certificate still passes the handshake of some
            cloud.publish(cmd("denied-7"), b"waits, too")
            one = gateway(rig, "denied-7", session_s=600)
            one.connect()
            assert not until(lambda: bool(one.heard), 0.5)
            one.leave()

    def test_a_denial_outlives_a_restart_of_the_broker_and_so_do_rights(self, rig: Rig) -> None:
        rig.admin.grant_all(["denied-8", "denied-9"])
        deny(rig, "denied-8")
        rig.restart()
        assert {"denied-8", "denied-9"} & rig.admin.granted() == {"denied-9"}
        one = gateway(rig, "denied-8")
        assert not (one.connect() and one.subscribe(cmd("denied-8", "#")))
        one.leave()
        with gateway(rig, "denied-9") as other:
            assert other.subscribe(cmd("denied-9", "#"))

    def test_a_kicked_gateway_comes_back_at_once_with_all_its_rights(self, rig: Rig, tell: Tell) -> None:
        rig.admin.grant("kicked-1")
        with ingest(rig) as cloud, Talker(rig, "kicked-1") as one:
            assert cloud.subscribe("reed/v1/+/up/#")
            assert talk_reaches(cloud, "kicked-1")
            began_s = time.monotonic()
            rig.admin.kick("kicked-1")
            assert until(lambda: len(one.peer.connected_at_s) == 2)
            lost_s, back_s = one.peer.lost_at_s[0] - began_s, one.peer.connected_at_s[1] - began_s
            assert talk_reaches(cloud, "kicked-1")
        tell(f"{rig.name}: kick: connection gone after {lost_s:.3f} s, back after {back_s:.3f} s")
