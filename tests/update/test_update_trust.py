"""Whom a gateway believes: each attack on the metadata is a real one, on a repository made by `reed-ota`."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tuf.api.metadata import TargetFile

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.trust.trusted import judged_at
from ota import keys
from tests.fakes.ota.gateway import PATH, Gateway
from tests.fakes.ota.house import NOBODY, Vendor, in_days


@pytest.fixture
def vendor(folder: Path) -> Vendor:
    made = Vendor(folder / "vendor")
    made.release(PATH)
    return made


@pytest.fixture
def gateway(vendor: Vendor, folder: Path) -> Gateway:
    return Gateway(vendor, folder / "tuf")


def edit(path: Path, change: object) -> None:
    """Change what a file of metadata says, and leave its signatures."""
    said = json.loads(path.read_text())
    change(said)  # type: ignore[operator]
    path.write_text(json.dumps(said))


# --- what is genuine ------------------------------------------------------------------------------------


def test_what_was_released_is_found_with_all_that_was_said_of_it(vendor: Vendor, gateway: Gateway) -> None:
    vendor.release(
        "os/reed-1.5.0.raucb", b"newer", version="1.5.0", compatible="reed-rpi", min_version="1.4.0"
    )
    target = gateway.target("os/reed-1.5.0.raucb", "os", "1.5.0")
    assert (target.length_bytes, target.version) == (5, "1.5.0")
    assert (target.text("compatible"), target.text("min_version")) == ("reed-rpi", "1.4.0")
    file = vendor.www / target.server_path.lstrip("/")
    gateway.trusted().verify(file, target)


def test_a_file_that_differs_in_one_bit_is_not_the_target(vendor: Vendor, gateway: Gateway) -> None:
    target = gateway.target()
    file = vendor.www / target.server_path.lstrip("/")
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    with pytest.raises(UpdateError, match="SHA-256") as caught:
        gateway.trusted().verify(file, target)
    assert caught.value.code == Code.UNTRUSTED


def test_a_shorter_file_a_link_and_none_are_not_the_target(
    vendor: Vendor, gateway: Gateway, folder: Path
) -> None:
    target = gateway.target()
    genuine = vendor.www / target.server_path.lstrip("/")
    (folder / "short").write_bytes(genuine.read_bytes()[:-1])
    (folder / "link").symlink_to(genuine)
    for name, code in (("short", Code.UNTRUSTED), ("link", Code.UNTRUSTED), ("none", Code.UNREACHABLE)):
        with pytest.raises(UpdateError) as caught:
            gateway.trusted().verify(folder / name, target)
        assert caught.value.code == code


# --- attacks on the metadata ----------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "os"])
def test_metadata_changed_after_they_were_signed_are_refused(
    vendor: Vendor, gateway: Gateway, role: str
) -> None:
    edit(vendor.file(role), lambda said: said["signed"].update(expires="2099-01-01T00:00:00Z"))
    assert gateway.refused() == Code.UNTRUSTED


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "os"])
def test_metadata_without_signatures_are_refused(vendor: Vendor, gateway: Gateway, role: str) -> None:
    edit(vendor.file(role), lambda said: said.update(signatures=[]))
    assert gateway.refused() == Code.UNTRUSTED


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"signed": 3}', b"\xff" * 40, b"[" * 9_000])
def test_what_is_no_metadata_is_refused_in_one_line(vendor: Vendor, gateway: Gateway, data: bytes) -> None:
    vendor.file("timestamp").write_bytes(data)
    assert gateway.refused() == Code.UNTRUSTED


def test_metadata_without_an_end_are_cut_off(vendor: Vendor, gateway: Gateway) -> None:
    vendor.file("timestamp").write_bytes(b" " * 6_000_000)
    assert gateway.refused() == Code.UNTRUSTED


def test_an_old_state_shown_again_is_noticed(vendor: Vendor, gateway: Gateway) -> None:
    old = vendor.file("timestamp").read_bytes()
    vendor.release("os/reed-1.5.0.raucb", b"fixed", version="1.5.0")
    gateway.target("os/reed-1.5.0.raucb", "os", "1.5.0")
    vendor.file("timestamp").write_bytes(old)
    assert gateway.refused() == Code.OLDER


def test_a_state_that_is_held_still_ends_by_itself(vendor: Vendor, gateway: Gateway) -> None:
    gateway.target()
    gateway.now = in_days(2)
    assert gateway.refused() == Code.EXPIRED
    gateway.now = in_days(0)
    assert gateway.target().version == "1.4.0"


def test_parts_of_two_states_do_not_go_together(vendor: Vendor, gateway: Gateway) -> None:
    old = vendor.file("snapshot").read_bytes()
    vendor.release("os/reed-1.5.0.raucb", b"fixed", version="1.5.0")
    vendor.file("snapshot").write_bytes(old)
    assert gateway.refused() == Code.UNTRUSTED


def test_an_older_list_of_targets_does_not_go_with_a_newer_snapshot(vendor: Vendor, gateway: Gateway) -> None:
    old = vendor.file("os").read_bytes()
    vendor.release("os/reed-1.5.0.raucb", b"fixed", version="1.5.0")
    vendor.file("os").write_bytes(old)
    assert gateway.refused() == Code.UNTRUSTED


def test_the_key_for_configurations_cannot_vouch_for_a_system(vendor: Vendor, gateway: Gateway) -> None:
    metadata = vendor.repo.begin_draft("config")
    evil = vendor.www / "targets" / "os" / "evil.raucb"
    evil.write_bytes(b"evil")
    info = TargetFile.from_file("os/evil.raucb", str(evil), ["sha256"])
    info.unrecognized_fields["custom"] = {"kind": "os", "version": "9.0"}
    metadata.signed.targets["os/evil.raucb"] = info
    vendor.repo.write_draft("config", metadata)
    vendor.seal()
    assert gateway.refused("os/evil.raucb", "os", "9.0") == Code.UNTRUSTED
    assert gateway.target().version == "1.4.0"


def test_the_key_for_configurations_cannot_sign_the_list_of_systems(vendor: Vendor, gateway: Gateway) -> None:
    wrong = keys.open_key(vendor.repo.keys / "config.pem", NOBODY)
    metadata = vendor.change("os")
    metadata.sign(wrong)
    vendor.file("os").write_bytes(metadata.to_bytes())
    assert gateway.refused() == Code.UNTRUSTED


@pytest.mark.parametrize(
    ("kind", "version", "path"),
    [
        ("app", "1.4.0", PATH),
        ("os", "1.5.0", PATH),
        ("os", "1.4.0", "os/nothing.raucb"),
        ("os", "1.4.0", "../etc/passwd"),
        ("os", "1.4.0", "os/.hidden"),
        ("os", "1.4.0", "/os/reed"),
    ],
)
def test_a_target_that_is_not_what_was_ordered_is_refused(
    gateway: Gateway, kind: str, version: str, path: str
) -> None:
    assert gateway.refused(path, kind, version) == Code.UNTRUSTED


# --- the server and the clock ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_server_that_has_nothing_is_asked_again_later(gateway: Gateway, status: int) -> None:
    gateway.web.status = status
    assert gateway.refused() == Code.UNREACHABLE


def test_a_cut_connection_is_worth_another_try(gateway: Gateway) -> None:
    gateway.web.cut_after = 0
    assert gateway.refused() == Code.UNREACHABLE
    gateway.web.cut_after = None
    assert gateway.target().version == "1.4.0"


def test_a_clock_that_is_years_behind_refuses_nothing_that_is_fresh(gateway: Gateway) -> None:
    floor_unix_s = datetime.now(UTC).timestamp() - 3600
    gateway.now = judged_at(None, floor_unix_s)
    assert gateway.target().version == "1.4.0"


def test_a_clock_that_is_years_behind_accepts_nothing_that_ended_before_the_floor(gateway: Gateway) -> None:
    behind_unix_s = datetime(1999, 1, 1, tzinfo=UTC).timestamp()
    gateway.now = judged_at(behind_unix_s, in_days(3).timestamp())
    assert gateway.refused() == Code.EXPIRED


def test_a_library_that_takes_no_time_vouches_for_nothing(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hiding:
        def __init__(self, *_: object, **__: object) -> None:
            self._trusted_set = object()

    monkeypatch.setattr("gateway.update.trust.trusted.Updater", Hiding)
    assert gateway.refused() == Code.UNSUPPORTED


@pytest.mark.parametrize("digest", ["../../../outbox", "", "0" * 63, "A" * 64, "0" * 64 + "\n"])
def test_a_digest_that_would_lead_to_another_file_is_refused(
    vendor: Vendor, gateway: Gateway, digest: str
) -> None:
    draft = vendor.repo.begin_draft("os")
    draft.signed.targets[PATH].hashes["sha256"] = digest
    vendor.repo.write_draft("os", draft)
    vendor.seal()
    assert gateway.refused() == Code.UNTRUSTED


@pytest.mark.parametrize("version", ["", "1.0\nrm", '1"', "1" * 90, "1 0", "-1"])
def test_a_version_that_is_none_is_refused(vendor: Vendor, gateway: Gateway, version: str) -> None:
    draft = vendor.repo.begin_draft("os")
    draft.signed.targets[PATH].unrecognized_fields["custom"]["version"] = version
    vendor.repo.write_draft("os", draft)
    vendor.seal()
    assert gateway.refused(version="") == Code.UNTRUSTED
