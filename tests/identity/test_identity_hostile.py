"""Somebody who means harm: an enrolment server, whoever writes on the boot partition, the daemon's user."""

import json
import os
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from gateway import durable
from gateway.errors import ConfigError, EnrolmentError, IdentityError, UnreachableError
from gateway.identity import answers, https, issued, provisioning, trust
from gateway.identity.https import Answer, Request
from gateway.identity.rotation import renew
from gateway.identity.slots import Slots
from tests.fakes.enrolled import CONFIG, enrolled, working
from tests.fakes.est_cloud import Cloud
from tests.fakes.issuer import Issuer, pem

_ROOT = Path(__file__).parents[2]
WITHOUT_RIGHTS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""Root whom permissions concern as they do everybody."""


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def slots(tmp_path: Path, cloud: Cloud) -> Slots:
    return enrolled(tmp_path / "identity", cloud)


def certificates_only(*certificates: x509.Certificate) -> bytes:
    return pkcs7.serialize_certificates(list(certificates), serialization.Encoding.DER)


def answer(der: bytes) -> Answer:
    from base64 import encodebytes  # noqa: PLC0415

    return Answer("https://cloud.test", 200, encodebytes(der))


# --- what the server sends ------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # negative serials
@given(st.data())
def test_whatever_is_in_a_certificate_it_is_left_out_or_can_be_judged(issuer: Issuer, data: st.DataObject):
    whole = bytearray(certificates_only(issuer.root))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    with suppress(UnreachableError):
        for one in answers.certificates(answer(bytes(whole))):
            der = one.public_bytes(serialization.Encoding.DER)
            trust.signs_itself(der)
            with suppress(IdentityError):
                issued.check(
                    ssl.DER_cert_to_PEM_cert(der).encode(),
                    public_key_der=b"",
                    gateway_id="hq-01",
                    roots_pem=pem(issuer.root),
                    now_unix_s=time.time(),
                )


def test_an_answer_in_ber_is_read_without_a_word(issuer: Issuer):
    """Not hostile, only careless: a length that is left open (X.690, 8.1.3.6)."""
    der = certificates_only(issuer.root)
    assert der[:2] == b"\x30\x82"
    ber = b"\x30\x80" + der[4:] + b"\0\0"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert answers.certificates(answer(ber)) == [issuer.root]


def test_one_certificate_that_nobody_understands_hides_no_other(issuer: Issuer):
    """An authority may list a root of tomorrow beside that of today."""
    odd = bytearray(issuer.intermediate.public_bytes(serialization.Encoding.DER))
    p256 = bytes.fromhex("06082a8648ce3d030107")
    odd[odd.index(p256) : odd.index(p256) + len(p256)] = bytes.fromhex(
        "06082a8648ce3d03017f"
    )  # no such curve
    whole = certificates_only(issuer.root, issuer.intermediate)
    known = issuer.intermediate.public_bytes(serialization.Encoding.DER)
    assert known in whole

    assert answers.certificates(answer(whole.replace(known, bytes(odd)))) == [issuer.root]


@pytest.mark.parametrize("keys", ["\ud800", "-----END PUBLIC KEY-----", "x" * 100_000, "\0"])
def test_keys_of_commands_that_are_none_are_one_line(keys: str):
    with pytest.raises(UnreachableError, match="no public key of commands"):
        answers.public_keys(answer(b""), keys)


def test_a_certificate_of_an_authority_is_not_what_was_asked_for(issuer: Issuer):
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hq-01")])
    forged = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.intermediate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(issuer._key, hashes.SHA256())
    )
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    with pytest.raises(IdentityError, match="of an authority"):
        issued.check(
            pem(forged) + pem(issuer.intermediate),
            public_key_der=spki,
            gateway_id="hq-01",
            roots_pem=pem(issuer.root),
            now_unix_s=None,
        )


def test_parameters_of_another_gateway_are_not_taken(slots: Slots, cloud: Cloud):
    before = (slots.cloud, slots.command_key_file.read_bytes())

    def other(handler: BaseHTTPRequestHandler) -> bool:
        if not handler.path.endswith("parameters"):
            return False
        told = json.dumps(cloud._parameters(None) | {"gateway": "hq-02"}).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(told)))
        handler.end_headers()
        handler.wfile.write(told)
        return True

    cloud._known = lambda _certificate: "hq-01"  # type: ignore[method-assign]
    cloud.broker = ("elsewhere.test", 1)
    cloud.before = other
    renew(slots, CONFIG, time.time())

    assert (slots.cloud, slots.command_key_file.read_bytes()) == before


def test_a_name_with_many_dead_addresses_costs_no_more_than_one(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as dead:
        address = dead.getsockname()
        with socket.create_connection(address), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(address)  # the queue is full now: nobody answers any more
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)] * 40
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
            began_s = time.monotonic()
            with pytest.raises(UnreachableError, match="did not answer"):
                https.exchange(
                    https.place("https://many.test"),
                    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
                    Request("GET", "/"),
                    timeout_s=1.0,
                    max_bytes=10,
                )

    assert time.monotonic() - began_s < 5.0


@pytest.mark.parametrize(
    "url",
    [
        "hq-01.abcdefghijklmnopqrstuvwxyz.AAAA",
        "https://me:abcdefghijklmnopqrstuvwxyz@cloud.test",
        "https://\x1b[31mcloud.test",
        "https://cloud test",
    ],
)
def test_what_may_be_secret_or_act_on_a_terminal_is_not_repeated(url: str):
    with pytest.raises(EnrolmentError) as refused:
        https.place(url)

    assert "abcdefghijkl" not in str(refused.value)
    assert str(refused.value).isprintable()


# --- what lies on the boot partition --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["/etc/shadow", "../gateway.toml", "sub/gateway.toml", ".", "..", "", "a\0b", "a\nb", "link"]
)
@pytest.mark.parametrize("key", ["config_file", "ca_file"])
def test_a_file_on_the_card_speaks_only_of_files_beside_it(tmp_path: Path, key: str, name: str):
    (tmp_path / "link").symlink_to("/etc/shadow")
    path = tmp_path / "reed-enrol.toml"
    path.write_text(f'url = "https://x"\ntoken = "t"\n{key} = {json.dumps(name)}\n')

    with pytest.raises(ConfigError, match=f"{key}: must be the name of a file that lies beside this one"):
        provisioning.read(path)


def test_nonsense_on_the_card_is_a_short_line(tmp_path: Path):
    path = tmp_path / "reed-enrol.toml"
    path.write_text("\n".join(f'"{number}\\n{"x" * 900}" = 1' for number in range(50)))

    with pytest.raises(ConfigError) as wrong:
        provisioning.read(path)

    assert str(wrong.value).isprintable()
    assert len(str(wrong.value)) < 2_000


def test_a_complaint_is_not_written_through_a_link(tmp_path: Path):
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "reed-enrol.toml.problem").symlink_to(target)

    provisioning.complain(tmp_path / "reed-enrol.toml", "wrong")

    assert target.read_text() == "precious"


# --- what the daemon's user has prepared for root -------------------------------------------------------


@pytest.mark.parametrize("replaced", ["identity", "b"])
def test_a_link_in_the_place_of_a_folder_leads_nobody_away(tmp_path: Path, cloud: Cloud, replaced: str):
    slots = enrolled(tmp_path / "identity", cloud)
    slots.prepare()
    elsewhere = tmp_path / "etc"
    elsewhere.mkdir()
    (elsewhere / "passwd").write_text("precious")
    if replaced == "identity":
        slots.folder.rename(tmp_path / "moved")
        slots.folder.symlink_to(elsewhere)
        (elsewhere / "lock").touch()
    else:
        (slots.folder / replaced).rmdir()
        (slots.folder / replaced).symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir())

    for change in (slots.prepare, lambda: slots.save_ca(b"new")):
        if replaced == "identity" or change == slots.prepare:
            with pytest.raises(IdentityError, match="Not a directory"):
                change()

    assert sorted(elsewhere.iterdir()) == before
    assert (elsewhere / "passwd").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_what_root_has_begun_and_not_given_away_is_given_the_next_time(tmp_path: Path, cloud: Cloud):
    """Killed between making a folder and giving it to the daemon's user."""
    slots = enrolled(tmp_path / "identity", cloud)
    os.chown(tmp_path, 4711, 4712)

    renew(slots, CONFIG, time.time())

    made = [slots.folder, slots.folder / "b", *(slots.folder / "b").iterdir()]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(4711, 4712)}
    working(slots)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_the_lock_is_never_seen_with_another_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    os.chown(tmp_path, 4711, 4712)
    real, seen = os.fchown, []

    def watched(file: int, uid: int, gid: int) -> None:
        seen.append((tmp_path / "lock").exists())
        real(file, uid, gid)

    monkeypatch.setattr(os, "fchown", watched)
    os.close(durable.open_lock(tmp_path / "lock"))

    assert seen == [False]
    assert (tmp_path / "lock").stat().st_uid == 4711
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


# --- without rights -------------------------------------------------------------------------------------


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A configuration in a folder that only its owner may enter."""
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "gateway.toml").write_text("")
    folder.chmod(0)
    yield folder / "gateway.toml"
    folder.chmod(0o700)


@pytest.mark.parametrize(
    "words",
    [
        ["enrol", "--url", "https://localhost:1", "--token", f"hq-01.{'a' * 26}.{'A' * 43}"],
        ["renew"],
        ["identity"],
        ["secret", "list"],
        ["secret", "remove", "sump"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_whoever_may_not_is_told_so_in_one_line(closed: Path, words: list[str]):
    done = subprocess.run(
        [*WITHOUT_RIGHTS, sys.executable, "-m", "gateway", *words, "--config", str(closed)],
        check=False,
        capture_output=True,
        text=True,
        cwd=_ROOT,
    )

    assert done.stderr.startswith("reed-gateway: ")
    assert done.stderr.count("\n") == 1
    assert "Permission denied" in done.stderr
    assert done.returncode != 0
