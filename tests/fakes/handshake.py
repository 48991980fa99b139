"""A TLS handshake in memory between one of our servers and a gateway, each as strict as in the field."""

import ssl
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from cloud.ca.certificates import pem
from cloud.home import Home
from tests.fakes.device import Device

_ROUNDS = 10
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python does not name


def handshake(
    home: Home, device: Device, folder: Path, trust: bytes | None = None, *, check_time: bool = True
) -> str:
    """Return what OpenSSL had against it, "" if nothing.

    The server is "broker" with chain and CRLs of the home, checked for the whole chain as nginx does; the
    gateway trusts `trust` (PEM; by default the home's roots at this moment). Without `check_time` both judge
    everything but dates, for tests that moved the registry's clock: OpenSSL has its own.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(home.cert_file("broker"), home.key_file("broker"))
    server.load_verify_locations(home.roots_file)
    server.load_verify_locations(home.crl_file)
    server.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cadata=(trust or home.roots_file.read_bytes()).decode())
    client.load_cert_chain(_file(folder / "device.pem", pem(*device.chain)), _key_file(folder, device))
    if not check_time:
        server.verify_flags |= _NO_CHECK_TIME
        client.verify_flags |= _NO_CHECK_TIME
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(_ROUNDS):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return str(error)
    return ""


def _file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _key_file(folder: Path, device: Device) -> Path:
    data = device.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _file(folder / "device.key", data)
