"""EST with real TLS clients, through nginx, uvicorn and the registry."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from tests.cloud.enrolment_rig import CSR, EST, Gateway, Rig, certificates, certified, refused
from tests.cloud.front import Answer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("est"))
    with made.front:
        yield made


@pytest.fixture
def rig(served: Rig) -> Rig:
    served.take_over()
    return served


# --- what everybody may ask -------------------------------------------------------------------------


def test_everybody_gets_root_and_intermediate(rig: Rig):
    found = certificates(rig.front.ask("GET", f"{EST}/cacerts"))

    roots = x509.load_pem_x509_certificates(rig.home.roots_file.read_bytes())
    assert set(found) == set(x509.load_pem_x509_certificates(rig.home.chain_file.read_bytes()))
    assert roots[0] in found


def test_the_wish_for_a_key_on_p_256_is_told_in_asn_1(rig: Rig):
    answer = rig.front.ask("GET", f"{EST}/csrattrs")

    assert answer.headers.get_content_type() == "application/csrattrs"
    der = base64.b64decode(answer.body)
    assert len(der) == 2 + der[1]
    assert bytes.fromhex("06082a8648ce3d030107") in der  # P-256


@pytest.mark.parametrize(
    "path",
    [
        EST + "/",
        EST + "/serverkeygen",
        EST + "/fullcmc",
        EST + "/label/cacerts",
        EST + "/cacerts/",
        "/reed/v1/",
        "/reed/v1/x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_addresses_are_refused_in_one_line(rig: Rig, path: str, method: str):
    assert "nothing at this address" in refused(rig.front.ask(method, path), 404, "address")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "cacerts", "GET"),
        ("GET", "simpleenroll", "POST"),
        ("PUT", "simpleenroll", "POST"),
        ("HEAD", "simplereenroll", "POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_one(rig: Rig, method: str, path: str, allowed: str):
    answer = rig.front.ask(method, f"{EST}/{path}")

    assert (answer.status, answer.headers["Allow"]) == (405, allowed)


# --- the first certificate --------------------------------------------------------------------------


def test_a_token_gets_a_certificate_once(rig: Rig):
    gateway = rig.expect("house-1")

    certificate = certified(gateway.enrol(), gateway.csr())

    assert certificate.subject.rfc4514_string() == "CN=house-1"
    other = gateway.csr(ec.generate_private_key(ec.SECP256R1()))
    assert "used already" in refused(gateway.enrol(other), 401, "token-used")


def test_a_lost_answer_can_be_asked_for_again_with_the_same_key(rig: Rig):
    gateway = rig.expect("house-2")
    csr = gateway.csr()

    first, second = certified(gateway.enrol(csr), csr), certified(gateway.enrol(csr), csr)

    assert first.serial_number != second.serial_number


def test_of_many_who_use_a_token_at_once_one_gets_a_certificate(rig: Rig):
    gateway = rig.expect("house-3")
    requests = [gateway.csr(ec.generate_private_key(ec.SECP256R1())) for _ in range(6)]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(gateway.enrol, requests))

    assert sorted(answer.status for answer in answers) == [200] + [401] * 5
    assert {answer.headers["Reed-Reason"] for answer in answers if answer.status == 401} == {"token-used"}


def test_a_client_that_shows_no_token_is_asked_for_one(rig: Rig):
    answer = rig.front.ask("POST", f"{EST}/simpleenroll", b"x", {"Content-Type": CSR})

    assert "one-time secret" in refused(answer, 401, "token-missing")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="reed"'


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic !!!",
        "Basic //46eA==",  # no UTF-8
        "Basic bm8gY29sb24=",  # no colon
        "Basic SG91c2UgMTphYmM=",  # "House 1" is no id
        "Basic aG91c2UtMTphAGI=",  # a NUL in the secret
        "Basic " + base64.b64encode(b"house-1:" + b"a" * 500).decode(),
    ],
)
def test_a_token_without_form_is_refused_before_anything_is_looked_up(rig: Rig, authorization: str):
    headers = {"Content-Type": CSR, "Authorization": authorization}

    refused(rig.front.ask("POST", f"{EST}/simpleenroll", b"x", headers), 401, "token-malformed")


def test_another_scheme_than_basic_is_no_token(rig: Rig):
    headers = {"Content-Type": CSR, "Authorization": "Bearer abc"}

    refused(rig.front.ask("POST", f"{EST}/simpleenroll", b"x", headers), 401, "token-missing")


def test_what_cannot_be_read_is_recorded_but_no_flood_of_it(rig: Rig):
    gateway = rig.expect("house-41")
    answers = [body_of(gateway, b"!!!").status for _ in range(12)]

    assert answers == [400] * 10 + [429] * 2
    assert rig.refusals("house-41").count("base64") == 10
    assert len(rig.refusals("house-41")) == 11
    assert "token-malformed" in rig.refusals("unreadable")


def test_a_wrong_token_is_refused_and_recorded(rig: Rig):
    gateway = rig.expect("house-4")

    answer = gateway.enrol(secret="a" * 26)

    assert "token is wrong" in refused(answer, 401, "token-wrong")
    assert rig.refusals("house-4") == ["token-wrong"]


def test_a_token_of_another_gateway_is_a_wrong_one(rig: Rig):
    one, other = rig.expect("house-5"), rig.expect("house-6")

    refused(one.enrol(secret=other.secret), 401, "token-wrong")
    certified(one.enrol(), one.csr())


def test_an_expired_token_is_called_so(rig: Rig):
    with rig.ago(timedelta(days=8)):
        gateway = rig.expect("house-7")

    assert "ended at" in refused(gateway.enrol(), 401, "token-expired")


def test_a_denied_gateway_cannot_enrol(rig: Rig):
    gateway = rig.expect("house-8")
    rig.services.deny("house-8", actor="test", reason="not now")

    assert "denied" in refused(gateway.enrol(), 403, "gateway-denied")


def test_who_tries_wrong_tokens_too_often_must_wait_and_locks_nobody_else_out(rig: Rig):
    gateway, neighbour = rig.expect("house-9"), rig.expect("house-10")
    reasons = [gateway.enrol(secret="b" * 26).headers["Reed-Reason"] for _ in range(11)]
    assert reasons == ["token-wrong"] * 10 + ["too-many-tries"]

    answer = gateway.enrol()

    refused(answer, 429, "too-many-tries")
    assert int(answer.headers["Retry-After"]) > 0
    certified(neighbour.enrol(), neighbour.csr())


# --- what a request may look like -------------------------------------------------------------------


def body_of(gateway: Gateway, text: bytes, media_type: str = CSR) -> Answer:
    headers = {"Content-Type": media_type, **gateway.basic()}
    return gateway.rig.front.ask("POST", f"{EST}/simpleenroll", text, headers)


@pytest.mark.parametrize(
    "media_type", ["application/pkcs10", "Application/PKCS10; charset=x", 'application/pkcs10; x="a;b"']
)
@pytest.mark.parametrize("layout", ["one line", "short lines", "blanks"])
def test_base64_may_be_laid_out_as_one_likes(rig: Rig, media_type: str, layout: str):
    gateway = rig.fresh()
    text = base64.b64encode(gateway.csr())
    if layout == "short lines":
        text = b"\r\n".join(text[at : at + 20] for at in range(0, len(text), 20)) + b"\r\n\r\n"
    if layout == "blanks":
        text = b" \t" + text[:50] + b"  \n" + text[50:]

    certified(body_of(gateway, text, media_type), gateway.csr())


@pytest.fixture
def asking(rig: Rig) -> Gateway:
    return rig.fresh()


@pytest.mark.parametrize(
    "media_type",
    ["", "text/plain", "application/json", "application/pkcs10x", "multipart/form-data; boundary=x"],
)
def test_another_media_type_is_refused(asking: Gateway, media_type: str):
    assert CSR in refused(body_of(asking, b"x", media_type), 415, "media-type")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "csr-broken"),
        (b"%%%%", "base64"),
        (b"AAA", "base64"),
        ("\u00e9".encode(), "base64"),
        (base64.b64encode(b"no der"), "csr-broken"),
        (base64.b64encode(bytes.fromhex("308400ffffff")), "csr-broken"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "base64"),
    ],
)
def test_a_broken_request_is_refused_in_one_line_and_costs_no_token(
    asking: Gateway, text: bytes, reason: str
):
    refused(body_of(asking, text), 400, reason)


def test_der_without_base64_is_refused(asking: Gateway):
    refused(body_of(asking, asking.csr()), 400, "base64")


def test_a_request_cut_short_or_changed_is_refused(asking: Gateway):
    csr = asking.csr()
    changed = csr[:-1] + bytes([csr[-1] ^ 1])

    refused(asking.enrol(csr[:-5]), 400, "csr-broken")
    refused(asking.enrol(csr + b"\0"), 400, "csr-broken")
    refused(asking.enrol(changed), 400, "csr-signature")


def test_a_request_for_another_name_is_refused(asking: Gateway):
    assert f"CN={asking.id}" in refused(asking.enrol(asking.csr(name="house-1")), 400, "csr-name")


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP192R1()),
    ],
)
def test_a_key_of_another_kind_is_refused(asking: Gateway, key: PrivateKeyTypes):
    refused(asking.enrol(asking.csr(key)), 400, "csr-key")


def test_a_key_that_another_gateway_holds_is_refused(rig: Rig):
    holder, other = rig.enrolled("holder"), rig.expect("other")

    assert "another gateway" in refused(other.enrol(other.csr(holder.key)), 403, "key-held")


def test_a_huge_request_is_refused_before_it_is_read(asking: Gateway):
    answer = body_of(asking, b"A" * 40_000)
    assert answer.status == 413
    assert answer.line

    refused(body_of(asking, base64.b64encode(b"\x30" * 20_000)), 400, "csr-size")


def test_after_a_request_that_was_refused_the_token_still_works(asking: Gateway):
    refused(asking.enrol(asking.csr(name="house-1")), 400, "csr-name")

    certified(asking.enrol(), asking.csr())


# --- the next certificate ---------------------------------------------------------------------------


def test_a_gateway_renews_with_a_new_key_and_lives_on_with_it(rig: Rig):
    gateway = rig.enrolled("renew-1")
    for _ in range(3):
        key = ec.generate_private_key(ec.SECP256R1())
        csr = gateway.csr(key)
        gateway.certificate = certified(gateway.reenrol(csr), csr)
        gateway.key = key

    assert gateway.certificate.subject.rfc4514_string() == "CN=renew-1"


def test_the_old_certificate_still_renews_if_the_answer_was_lost(rig: Rig):
    gateway = rig.enrolled("renew-2")

    for _ in range(2):
        csr = gateway.csr(ec.generate_private_key(ec.SECP256R1()))
        certified(gateway.reenrol(csr), csr)


def test_without_a_certificate_nobody_renews(rig: Rig):
    gateway = rig.expect("renew-3")
    body = base64.b64encode(gateway.csr())
    forged = {"X-Reed-Client-Verify": "SUCCESS", "X-Reed-Client-Cert": "-----BEGIN%20CERTIFICATE-----"}

    answer = rig.front.ask(
        "POST", f"{EST}/simplereenroll", body, {"Content-Type": CSR, **gateway.basic(), **forged}
    )

    refused(answer, 403, "certificate-missing")


def test_forged_headers_make_nobody_another_gateway(rig: Rig):
    victim, thief = rig.enrolled("victim"), rig.enrolled("thief")
    escaped = victim.pem.replace("\n", "%0A").replace(" ", "%20")
    headers = {"Content-Type": CSR, "X-Reed-Client-Verify": "SUCCESS", "X-Reed-Client-Cert": escaped}
    body = base64.b64encode(victim.csr(ec.generate_private_key(ec.SECP256R1())))

    answer = rig.front.ask("POST", f"{EST}/simplereenroll", body, headers, pair=thief.pair)

    refused(answer, 400, "csr-name")
    assert "csr-name" in rig.refusals("thief")
    assert rig.refusals("victim") == []


def test_the_subject_must_stay_the_same(rig: Rig):
    gateway = rig.enrolled("renew-4")

    refused(gateway.reenrol(gateway.csr(name="renew-5")), 400, "csr-name")


def test_a_revoked_certificate_is_stopped_by_nginx(rig: Rig):
    gateway = rig.enrolled("renew-6")
    rig.services.deny("renew-6", actor="test", reason="stolen?")
    rig.front.reload()

    assert "revoked" in refused(gateway.reenrol(gateway.csr()), 403, "certificate-revoked")
    assert rig.refusals("renew-6") == []  # it never came so far

    rig.services.grant("renew-6", actor="test", reason="found")
    rig.front.reload()
    certified(gateway.reenrol(gateway.csr()), gateway.csr())


def test_the_registry_refuses_a_denied_gateway_even_before_nginx_knows(rig: Rig):
    gateway = rig.enrolled("renew-7")
    rig.services.deny("renew-7", actor="test", reason="stolen?")

    assert "denied" in refused(gateway.reenrol(gateway.csr()), 403, "gateway-denied")


def test_an_expired_certificate_is_told_of_recovery(rig: Rig):
    gateway = rig.enrolled("renew-8", past=timedelta(days=31))
    assert gateway.certificate
    assert gateway.certificate.not_valid_after_utc < datetime.now(UTC)

    assert "recover" in refused(gateway.reenrol(gateway.csr()), 403, "certificate-expired")


def test_a_services_certificate_makes_no_gateway(rig: Rig):
    gateway = rig.expect("renew-9")
    pair = rig.home.cert_file("ingest"), rig.home.key_file("ingest")

    refused(gateway.reenrol(gateway.csr(), pair), 403, "certificate-service")
