"""The development authority."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from gateway.cli.demo import devca


def files(folder: Path):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_second_call_changes_nothing(tmp_path: Path):
    devca.ensure(tmp_path, "house-7")
    before = files(tmp_path)
    devca.ensure(tmp_path, "house-7")

    assert files(tmp_path) == before


def test_the_gateway_is_the_common_name_and_openssl_takes_every_pair(tmp_path: Path):
    ca = devca.ensure(tmp_path, "house-7")
    certificate = x509.load_pem_x509_certificate(ca.cert_file("house-7").read_bytes())
    for name in ("broker", "cloud", "house-7"):
        context = ssl.create_default_context(cafile=str(ca.ca_file))
        context.load_cert_chain(ca.cert_file(name), ca.key_file(name))

    assert certificate.subject.rfc4514_string() == "CN=house-7"


def test_keys_are_for_their_owner_only(tmp_path: Path):
    ca = devca.ensure(tmp_path / "new", "house-7")

    assert ca.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in ca.folder.iterdir()} == {0o600}


def test_a_damaged_a_missing_and_an_expiring_certificate_are_made_again(tmp_path: Path):
    ca = devca.ensure(tmp_path, "house-7")
    ca.issue("house-7", ends=datetime.now(UTC) + timedelta(days=1))
    ca.cert_file("cloud").write_bytes(b"garbage")
    ca.key_file("broker").unlink()
    before = files(tmp_path)
    devca.ensure(tmp_path, "house-7")
    after = files(tmp_path)

    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {f"{n}{end}" for n in ("house-7", "cloud", "broker") for end in (".pem", ".key.pem")}


def test_a_new_authority_signs_everything_anew(tmp_path: Path):
    ca = devca.ensure(tmp_path, "house-7")
    before = files(tmp_path)
    ca.ca_file.unlink()
    devca.ensure(tmp_path, "house-7")
    after = files(tmp_path)

    assert all(after[f"{name}.pem"] != before[f"{name}.pem"] for name in ("ca", "broker", "cloud", "house-7"))
    assert after["command.key.pem"] == before["command.key.pem"]


def test_a_second_gateway_joins_the_same_authority(tmp_path: Path):
    devca.ensure(tmp_path, "house-7")
    before = files(tmp_path)
    devca.ensure(tmp_path, "house-8")

    assert set(files(tmp_path)) - set(before) == {"house-8.pem", "house-8.key.pem"}
