"""Conformance of a broker: what a gateway may do, and who else may."""

import time

import pytest

from tests.cloud.broker_rig import Rig, cmd, gateway, ingest, up
from tests.fakes.mqtt_peer import until


class Rights:
    """What a gateway may do, and who else may."""

    def test_a_granted_gateway_publishes_what_the_ingest_hears_and_hears_its_commands(self, rig: Rig) -> None:
        rig.admin.grant("rights-1")
        with ingest(rig) as cloud, gateway(rig, "rights-1") as one:
            assert cloud.subscribe("reed/v1/+/up/#")
            assert one.subscribe(cmd("rights-1", "#"))
            assert one.publish(up("rights-1", "alarm"), b"wet")
            assert cloud.publish(cmd("rights-1", "alarm/ack"), b"seen")
            assert until(lambda: cloud.heard == [(up("rights-1", "alarm"), b"wet")])
            assert until(lambda: one.heard == [(cmd("rights-1", "alarm/ack"), b"seen")])

    def test_who_was_never_granted_can_do_nothing_with_a_good_certificate(self, rig: Rig) -> None:
        with ingest(rig) as cloud:
            assert cloud.subscribe("reed/v1/+/up/#")
            for attempt in ("publish", "subscribe"):
                stranger = gateway(rig, "stranger")
                topic = up("stranger") if attempt == "publish" else cmd("stranger", "#")
                assert not (stranger.connect() and getattr(stranger, attempt)(topic))
                stranger.leave()
            assert not until(lambda: bool(cloud.heard), 0.3)

    @pytest.mark.parametrize(
        "topic",
        [
            up("rights-3"),
            up("rights-22"),  # begins with our own id
            cmd("rights-3"),
            cmd("rights-2"),  # its own commands are the cloud's to give
            "reed/v1/rights-2/upper/tele",
            "reed/v2/rights-2/up/tele",
            "reed.v1.rights-3.up.tele",
            "$CONTROL/dynamic-security/v1",
            "elsewhere",
        ],
    )
    def test_a_gateway_cannot_publish_to_what_is_not_its_own(self, rig: Rig, topic: str) -> None:
        rig.admin.grant_all(["rights-2", "rights-22", "rights-3"])
        with ingest(rig) as cloud, gateway(rig, "rights-3") as other, gateway(rig, "rights-2") as one:
            assert cloud.subscribe("reed/v1/+/up/#")
            assert other.subscribe(cmd("rights-3", "#"))
            assert not one.publish(topic)
            assert not until(lambda: bool(cloud.heard or other.heard), 0.2)

    @pytest.mark.parametrize(
        "topic_filter",
        [
            cmd("rights-3", "#"),
            cmd("rights-22", "#"),
            up("rights-3", "#"),
            up("rights-2", "#"),
            "reed/v1/+/cmd/#",
            "reed/v1/+/up/#",
            "reed/v1/#",
            "#",
            "+/+/+/+/+",
            "$share/all/reed/v1/+/cmd/#",
            f"$share/all/{cmd('rights-3', '#')}",
            "$SYS/#",
            "$CONTROL/#",
        ],
    )
    def test_a_gateway_cannot_listen_to_what_is_not_its_own(self, rig: Rig, topic_filter: str) -> None:
        rig.admin.grant_all(["rights-2", "rights-22", "rights-3"])
        with ingest(rig) as cloud, gateway(rig, "rights-3") as other, gateway(rig, "rights-2") as one:
            granted = one.subscribe(topic_filter)
            if one.is_connected:
                assert other.publish(up("rights-3"), b"secret")
                assert cloud.publish(cmd("rights-3"), b"secret")
                assert cloud.publish(cmd("rights-2"), b"mine")
            assert not until(lambda: bool(one.heard), 0.2)
            assert not granted

    def test_a_gateway_listens_to_one_kind_of_its_own_commands(self, rig: Rig) -> None:
        rig.admin.grant("rights-4")
        with ingest(rig) as cloud, gateway(rig, "rights-4") as one:
            assert one.subscribe(cmd("rights-4", "receipt"))
            cloud.publish(cmd("rights-4", "valve"), b"no")
            cloud.publish(cmd("rights-4", "receipt"), b"yes")
            assert until(lambda: one.heard_payloads() == [b"yes"])

    def test_a_will_reaches_nobody_where_its_gateway_may_not_publish(self, rig: Rig) -> None:
        rig.admin.grant_all(["rights-5", "rights-6"])
        with ingest(rig) as cloud, gateway(rig, "rights-6") as other:
            assert cloud.subscribe("reed/v1/+/up/#")
            assert other.subscribe(cmd("rights-6", "#"))
            for topic in (up("rights-6"), cmd("rights-6")):
                one = gateway(rig, "rights-5", will=(topic, b"forged"))
                if one.connect():
                    one.vanish()
                else:
                    one.leave()
            assert not until(lambda: bool(cloud.heard or other.heard), 1.0)

    def test_its_own_will_is_published_when_it_vanishes(self, rig: Rig) -> None:
        rig.admin.grant("rights-7")
        with ingest(rig) as cloud:
            assert cloud.subscribe("reed/v1/+/up/#")
            one = gateway(rig, "rights-7", will=(up("rights-7", "state"), b"lost"))
            assert one.connect()
            one.vanish()
            assert until(lambda: cloud.heard == [(up("rights-7", "state"), b"lost")])

    @pytest.mark.parametrize("whose", ["rights-8", "rights-9"])
    def test_nothing_stays_behind_as_a_retained_message(self, rig: Rig, whose: str) -> None:
        rig.admin.grant_all(["rights-8", "rights-9"])
        with gateway(rig, "rights-8") as one:
            one.publish(up(whose), b"stays", retain=True)
        with ingest(rig) as cloud:
            assert cloud.subscribe("reed/v1/+/up/#")
            assert not until(lambda: bool(cloud.heard), 0.3)

    def test_nobody_takes_the_place_of_another_by_its_client_id(self, rig: Rig) -> None:
        rig.admin.grant_all(["rights-10", "rights-11"])
        with ingest(rig) as cloud, gateway(rig, "rights-10") as victim:
            assert victim.subscribe(cmd("rights-10", "#"))
            thief = gateway(rig, "rights-11", client_id="rights-10")
            heard = thief.connect() and thief.subscribe(cmd("rights-10", "#"))
            assert not heard
            assert victim.is_connected
            assert cloud.publish(cmd("rights-10"), b"for the victim")
            assert until(lambda: victim.heard_payloads() == [b"for the victim"])
            assert not thief.heard
            thief.leave()

    def test_a_message_that_has_expired_is_not_delivered(self, rig: Rig) -> None:
        rig.admin.grant("rights-12")
        with gateway(rig, "rights-12", session_s=600) as one:
            assert one.subscribe(cmd("rights-12", "#"))
        with ingest(rig) as cloud:
            assert cloud.publish(cmd("rights-12"), b"stale", expires_s=1)
            assert cloud.publish(cmd("rights-12"), b"fresh", expires_s=60)
        time.sleep(2.1)
        with gateway(rig, "rights-12", session_s=600) as one:
            assert until(lambda: one.heard_payloads() == [b"fresh"])
            assert not until(lambda: len(one.heard) > 1, 0.3)
