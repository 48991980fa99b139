"""Renewal against a model of the cloud over real TLS: a new key, a new certificate, nothing lost before."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509

from gateway.errors import BusyError, EnrolmentError, IdentityError, UnreachableError
from gateway.identity.records import Cloud as Where
from gateway.identity.rotation import renew
from gateway.identity.slots import Slots
from tests.fakes import est_cloud
from tests.fakes.enrolled import CONFIG, certify, enrolled, loads, working
from tests.fakes.est_cloud import Cloud
from tests.fakes.issuer import DAY, Issuer, pem, public_pem

EST = "/.well-known/est"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with est_cloud.served(est_cloud.cloud(tmp_path)) as served:
        yield served


@pytest.fixture
def slots(tmp_path: Path, cloud: Cloud) -> Slots:
    return enrolled(tmp_path / "identity", cloud)


def expired(slots: Slots, cloud: Cloud) -> Slots:
    """The certificate has ended while the gateway was switched off."""
    now = datetime.now(UTC)
    return enrolled(slots.folder.with_name("expired"), cloud, now - 31 * DAY, now - DAY)


def answering(status: int, line: str, path: str = "simplereenroll", reason: str = "") -> object:
    def before(handler: BaseHTTPRequestHandler) -> bool:
        if not handler.path.endswith(path):
            return False
        handler.send_response(status)
        handler.send_header("Content-Type", "text/plain")
        handler.send_header("Content-Length", str(len(line)))
        handler.send_header("Reed-Reason", reason)
        handler.end_headers()
        handler.wfile.write(line.encode())
        return True

    return before


def content(slots: Slots) -> dict[str, bytes]:
    """What must not change: the pair in use, and whom we trust."""
    pair = slots.current()
    assert pair is not None
    files = (pair.cert_file, pair.key_file, slots.ca_file, slots.command_key_file)
    return {file.name: file.read_bytes() for file in files}


# --- as it should be ----------------------------------------------------------------------------------


def test_a_renewal_stages_a_new_key_with_its_certificate_and_touches_nothing_else(slots: Slots, cloud: Cloud):
    before = content(slots)

    pair = renew(slots, CONFIG, time.time())

    assert slots.trial() == pair != slots.current()
    assert content(slots) == before
    assert loads(pair, slots).public_key() != working(slots).public_key()
    assert loads(pair, slots) == cloud.issued[-1]
    assert f"POST {EST}/simplereenroll" in cloud.asked
    attempt = slots.attempt
    assert attempt is not None
    assert (attempt.kind, attempt.outcome, attempt.slot, attempt.detail) == ("renew", "staged", pair.slot, "")


def test_five_renewals_one_after_another_use_six_keys(slots: Slots):
    keys = [working(slots).public_key()]
    for _ in range(5):
        slots.promote(renew(slots, CONFIG, time.time()))
        keys.append(working(slots).public_key())

    assert len({public_pem(key) for key in keys}) == 6  # type: ignore[arg-type]


def test_a_pair_that_waits_for_its_trial_is_not_made_twice(slots: Slots, cloud: Cloud):
    pair = renew(slots, CONFIG, time.time())
    asked = list(cloud.asked)

    assert renew(slots, CONFIG, time.time()) == pair
    assert cloud.asked == asked


def test_a_pair_that_was_never_tried_is_replaced_when_it_has_ended(slots: Slots):
    pair = renew(slots, CONFIG, time.time())
    key = pair.key_file.read_bytes()

    with pytest.raises(IdentityError, match="valid from"):
        renew(slots, CONFIG, time.time() + 40 * DAY.total_seconds())

    # (the cloud's clock differs by 40 days in this test; what counts is that it was made anew)
    assert slots.trial() is None
    assert pair.key_file.read_bytes() != key
    working(slots)


def test_after_a_refused_trial_the_next_renewal_makes_another_pair(slots: Slots):
    one = renew(slots, CONFIG, time.time())
    refused = loads(one, slots)
    slots.reject(one, "not authorised")

    assert loads(renew(slots, CONFIG, time.time()), slots).public_key() != refused.public_key()


# --- the certificate has ended, or is not taken any more -----------------------------------------------


def test_after_its_end_the_old_key_proves_who_we_are(slots: Slots, cloud: Cloud):
    slots = expired(slots, cloud)

    pair = renew(slots, CONFIG, time.time())

    assert loads(pair, slots).not_valid_after_utc > datetime.now(UTC)
    assert f"POST {EST}/simplereenroll" not in cloud.asked
    assert slots.attempt is not None
    assert slots.attempt.kind == "recover"
    slots.promote(pair)
    working(slots)


def test_a_certificate_that_the_cloud_takes_no_more_is_replaced_by_proof(slots: Slots, cloud: Cloud):
    cloud.before = answering(403, "the certificate has expired; recover")  # type: ignore[assignment]

    loads(renew(slots, CONFIG, time.time()), slots)

    assert any("/reed/v1/recovery" in asked for asked in cloud.asked)


@pytest.mark.parametrize("reason", ["certificate-expired", "certificate-unknown", "certificate-revoked", ""])
def test_a_front_that_turns_the_certificate_away_at_every_door_is_no_end(
    slots: Slots, cloud: Cloud, reason: str
):
    """As a web server does, whatever was asked for: say, because our intermediate was given up."""

    def before(handler: BaseHTTPRequestHandler) -> bool:
        if not handler.connection.getpeercert(binary_form=True):  # type: ignore[attr-defined]
            return False
        path = handler.path.rpartition("/")[2]
        fresh = cloud.issued and path == "parameters"
        return not fresh and answering(403, "refused", path, reason)(handler)  # type: ignore[operator]

    cloud.before = before

    loads(renew(slots, CONFIG, time.time()), slots)

    assert any("/reed/v1/recovery" in asked for asked in cloud.asked)


@pytest.mark.parametrize("reason", ["gateway-denied", "gateway-retired"])
def test_whoever_was_denied_does_not_try_the_other_door(slots: Slots, cloud: Cloud, reason: str):
    line = "no more of you"
    cloud.before = answering(403, line, reason=reason)  # type: ignore[assignment]
    before = content(slots)

    with pytest.raises(EnrolmentError, match=line):
        renew(slots, CONFIG, time.time())

    assert not any("recovery" in asked for asked in cloud.asked)
    assert content(slots) == before
    assert slots.trial() is None
    assert slots.attempt is not None
    assert slots.attempt.outcome == "failed"
    assert line in slots.attempt.detail


def test_a_denied_gateway_cannot_recover_and_comes_back_when_it_is_granted_again(slots: Slots, cloud: Cloud):
    slots = expired(slots, cloud)
    cloud.denied.add("hq-01")
    with pytest.raises(EnrolmentError, match="denied"):
        renew(slots, CONFIG, time.time())

    cloud.denied.clear()

    loads(renew(slots, CONFIG, time.time()), slots)


def test_a_proof_by_another_key_is_worth_nothing(slots: Slots, cloud: Cloud):
    slots = expired(slots, cloud)
    pair = slots.current()
    assert pair is not None
    certificate = pair.cert_file.read_bytes()
    now = datetime.now(UTC)
    certify(pair, cloud, now - 31 * DAY, now - DAY)
    pair.cert_file.write_bytes(certificate)  # somebody has our certificate and a key of their own

    with pytest.raises(EnrolmentError, match="did not sign"):
        renew(slots, CONFIG, time.time())


# --- the cloud is not there ----------------------------------------------------------------------------


def test_a_cloud_that_is_away_costs_nothing(slots: Slots, cloud: Cloud, tmp_path: Path):
    slots.save_cloud(Where("hq-01", "https://localhost:1", "broker.test", 8883))
    before = content(slots)

    with pytest.raises(UnreachableError, match="cannot be reached"):
        renew(slots, CONFIG, time.time())

    assert content(slots) == before
    slots.save_cloud(Where("hq-01", cloud.url, "broker.test", 8883))
    loads(renew(slots, CONFIG, time.time()), slots)


def test_an_overloaded_cloud_is_asked_again_later(slots: Slots, cloud: Cloud):
    cloud.before = answering(503, "come back later")  # type: ignore[assignment]
    with pytest.raises(UnreachableError, match="come back later"):
        renew(slots, CONFIG, time.time())
    assert not any("recovery" in asked for asked in cloud.asked)

    cloud.before = lambda _: False

    loads(renew(slots, CONFIG, time.time()), slots)


@pytest.mark.parametrize("path", ["cacerts", "simplereenroll", "parameters"])
def test_an_answer_that_gets_lost_on_its_way_costs_nothing(slots: Slots, cloud: Cloud, path: str):
    before = content(slots)
    cloud.after = lambda asked: asked.endswith(path)
    try:
        pair = renew(slots, CONFIG, time.time())
    except UnreachableError:
        assert path != "parameters"
        assert slots.trial() is None
    else:
        assert path == "parameters"  # is heard another time
        loads(pair, slots)
    assert content(slots) == before

    cloud.after = lambda _: False

    loads(renew(slots, CONFIG, time.time()), slots)


def test_somebody_who_sits_in_between_gets_nothing(slots: Slots, tmp_path: Path):
    with est_cloud.served(Cloud(Issuer(tmp_path / "other"))) as impostor:
        slots.save_cloud(Where("hq-01", impostor.url, "broker.test", 8883))
        before = content(slots)

        with pytest.raises(UnreachableError, match="another authority"):
            renew(slots, CONFIG, time.time())

        assert impostor.asked == []
        assert content(slots) == before


def test_a_gateway_that_was_never_enrolled_is_told_what_to_do(tmp_path: Path):
    with pytest.raises(IdentityError, match="not enrolled; run: reed-gateway enrol"):
        renew(Slots(tmp_path / "identity"), CONFIG, time.time())


# --- two at once ---------------------------------------------------------------------------------------


def test_of_two_renewals_at_once_the_second_says_so(slots: Slots, cloud: Cloud):
    asked, go_on = threading.Event(), threading.Event()

    def before(handler: BaseHTTPRequestHandler) -> bool:
        asked.set()
        go_on.wait(10)
        return False

    cloud.before = before
    staged = []
    one = threading.Thread(target=lambda: staged.append(renew(slots, CONFIG, time.time())))
    one.start()
    assert asked.wait(10)

    with pytest.raises(BusyError, match="works there"):
        renew(Slots(slots.folder), CONFIG, time.time())

    go_on.set()
    one.join(10)
    assert [slots.trial()] == staged
    loads(staged[0], slots)


# --- what is heard on the way --------------------------------------------------------------------------


def test_a_broker_that_moved_and_new_command_keys_are_heard(slots: Slots, cloud: Cloud):
    cloud.broker = ("elsewhere.test", 8884)
    cloud.command_key = replace(est_cloud.Cloud(cloud.authority)).command_key

    renew(slots, CONFIG, time.time())

    assert slots.cloud == Where("hq-01", cloud.url, "elsewhere.test", 8884)
    assert slots.command_key_file.read_bytes().strip() == public_pem(cloud.command_key.public_key()).strip()


def test_a_new_root_is_trusted_beside_the_old_one(slots: Slots, cloud: Cloud, tmp_path: Path):
    new = Issuer(tmp_path / "new")
    cloud.extra_roots.append(new.root)

    renew(slots, CONFIG, time.time())

    kept = x509.load_pem_x509_certificates(slots.ca_file.read_bytes())
    assert sorted(map(pem, kept)) == sorted(map(pem, (cloud.authority.root, new.root)))


def test_a_root_is_given_up_when_the_cloud_does_without_it(slots: Slots, cloud: Cloud, tmp_path: Path):
    slots.save_ca(pem(Issuer(tmp_path / "former").root) + pem(cloud.authority.root))

    renew(slots, CONFIG, time.time())

    assert slots.ca_file.read_bytes() == pem(cloud.authority.root)


def test_a_root_that_the_cloud_still_needs_is_not_given_up_at_its_word(
    slots: Slots, cloud: Cloud, tmp_path: Path
):
    new = Issuer(tmp_path / "new")

    class Hasty(Cloud):
        """Lists only the new root, certifies by it, and still serves by the old one."""

        def answer(self, method: str, path: str, who: est_cloud.Who, body: bytes) -> tuple[int, str, bytes]:
            if path.endswith(("cacerts", "simplereenroll")):
                return Cloud(new).answer(method, path, who, body)
            return super().answer(method, path, who, body)

    with est_cloud.served(Hasty(cloud.authority)) as hasty:
        slots.save_cloud(Where("hq-01", hasty.url, "broker.test", 8883))
        renew(slots, CONFIG, time.time())

        kept = x509.load_pem_x509_certificates(slots.ca_file.read_bytes())
        assert sorted(map(pem, kept)) == sorted(map(pem, (cloud.authority.root, new.root)))
        renew_again = slots.trial()
        assert renew_again is not None
        slots.promote(renew_again)
        before = slots.ca_file.read_bytes()
        with pytest.raises(EnrolmentError):  # still reached; whom it knows is another matter
            renew(slots, CONFIG, time.time())
        assert slots.ca_file.read_bytes() == before


def test_servers_of_another_authority_do_not_keep_us_from_renewing(
    slots: Slots, cloud: Cloud, tmp_path: Path
):
    """Enrolled with --ca-file: the cloud never lists who vouches for its web server."""
    web = Issuer(tmp_path / "web")

    class Fronted(Cloud):
        """Certifies by its own root, and serves by that of the company."""

        def answer(self, method: str, path: str, who: est_cloud.Who, body: bytes) -> tuple[int, str, bytes]:
            return cloud.answer(method, path, who, body)

    fronted = Fronted(web)
    web.chain_file.write_bytes(web.chain_file.read_bytes() + cloud.authority.chain_file.read_bytes())
    with est_cloud.served(fronted):
        slots.save_cloud(Where("hq-01", fronted.url, "broker.test", 8883))
        slots.save_ca(pem(cloud.authority.root) + pem(web.root))
        before = slots.ca_file.read_bytes()

        for _ in range(2):
            slots.promote(renew(slots, CONFIG, time.time()))

    assert slots.ca_file.read_bytes() == before


def test_a_renewal_that_is_killed_is_remembered_as_an_attempt(slots: Slots, cloud: Cloud):
    seen = []

    def before(handler: BaseHTTPRequestHandler) -> bool:
        seen.append(slots.attempt)
        return False

    cloud.before = before
    renew(slots, CONFIG, now := time.time())

    assert {(one.at_unix_s, one.outcome, one.detail) for one in seen if one} == {
        (now, "failed", "it was cut off")
    }


def test_the_lifetime_counts_from_the_clock_that_was_given(slots: Slots, cloud: Cloud):
    ended = datetime.now(UTC) + timedelta(days=31)
    with pytest.raises(IdentityError):
        renew(slots, CONFIG, ended.timestamp())

    assert slots.attempt is not None
    assert slots.attempt.kind == "recover"
