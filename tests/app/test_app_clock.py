"""When the wall clock is believed."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.app.clock import RELEASED_UNIX_S, WallClock, boot_id, not_before_unix_s
from gateway.cli.demo import devca

DAY_S = 86400.0


@dataclass
class Clocks:
    """Two clocks that a test sets."""

    unix_s: float = RELEASED_UNIX_S + 10 * DAY_S
    mono_s: float = 100.0

    def wall(self) -> WallClock:
        return WallClock(lambda: self.unix_s, lambda: self.mono_s)


def test_plausible_clock_is_trusted():
    assert Clocks().wall().trusted()


def test_clock_before_the_release_is_not_trusted():
    clock = Clocks(unix_s=0.0).wall()

    assert not clock.trusted()
    assert clock.trusted_unix_s() is None


def test_clock_decades_ahead_is_not_trusted():
    assert not Clocks(unix_s=RELEASED_UNIX_S + 40 * 365 * DAY_S).wall().trusted()


def test_clock_behind_the_saved_time_is_not_trusted():
    clock = Clocks().wall()

    clock.raise_floor(RELEASED_UNIX_S + 11 * DAY_S)

    assert not clock.trusted()


def test_floor_moves_on_while_the_gateway_runs():
    clocks = Clocks()
    clock = clocks.wall()
    clock.raise_floor(RELEASED_UNIX_S + 9 * DAY_S)

    clocks.mono_s += 2 * DAY_S

    assert clock.floor_unix_s == RELEASED_UNIX_S + 11 * DAY_S
    assert not clock.trusted()


def test_absurd_saved_time_does_not_distrust_the_clock_for_ever():
    clock = Clocks().wall()

    clock.raise_floor(1e12)

    assert clock.trusted()


def test_network_time_raises_the_floor_only_when_somebody_vouches(tmp_path: Path):
    clocks = Clocks()
    clock = clocks.wall()

    clock.take_network_time(tmp_path / "missing")
    assert clock.floor_unix_s == RELEASED_UNIX_S

    (tmp_path / "synchronized").touch()
    clock.take_network_time(tmp_path / "synchronized")
    assert clock.floor_unix_s == clocks.unix_s


def test_begin_of_a_certificate_is_read_without_a_library(tmp_path: Path):
    path = devca.ensure(tmp_path, "house-7").cert_file("house-7")
    certificate = x509.load_pem_x509_certificate(path.read_bytes())

    assert not_before_unix_s(path) == certificate.not_valid_before_utc.timestamp()

    path.write_bytes(certificate.public_bytes(Encoding.DER))
    assert not_before_unix_s(path) == 0.0


def test_unreadable_certificate_gives_no_floor(tmp_path: Path):
    (tmp_path / "garbage.pem").write_text("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----")

    assert not_before_unix_s(tmp_path / "garbage.pem") == 0.0
    assert not_before_unix_s(tmp_path / "missing.pem") == 0.0


def test_boot_id_is_the_kernels(tmp_path: Path):
    assert len(boot_id()) == 36
    assert boot_id(tmp_path / "missing") == "unknown"
