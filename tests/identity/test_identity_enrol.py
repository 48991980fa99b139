"""The first enrolment against a model of the cloud over real TLS: what it leaves, and what stops it."""

import contextlib
import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import durable
from gateway.errors import EnrolmentError, IdentityError, TpmError, UnreachableError
from gateway.identity import enrol
from gateway.identity.config import Config
from gateway.identity.order import Enrolled, Order
from gateway.identity.slots import Slots
from gateway.identity.software import SoftwareKeys
from gateway.identity.token import parse
from tests.fakes import est_cloud
from tests.fakes.est_cloud import Cloud
from tests.fakes.issuer import Issuer, pem, public_pem
from tests.fakes.maker import Chip
from tests.fakes.tls_ends import Middle

ID = "hq-01"
SOFTWARE = Config(key="software", allow_software_key=True)
OTHER = "z" * 26


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with est_cloud.served(est_cloud.cloud(tmp_path / "cloud")) as running:
        yield running


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    (tmp_path / "state").mkdir()
    return Slots(tmp_path / "state" / "identity")


def order(cloud: Cloud, **options: object) -> Order:
    given = {"now_unix_s": datetime.now(UTC).timestamp(), "timeout_s": 5.0, **options}
    return replace(Order(url=cloud.url, token=parse(cloud.token(ID))), **given)  # type: ignore[arg-type]


def run(wanted: Order, slots: Slots, config: Config = SOFTWARE) -> tuple[Enrolled, dict[str, str]]:
    said: dict[str, str] = {}
    return enrol.enrol(wanted, slots, config, said.__setitem__), said


def refused(wanted: Order, slots: Slots) -> IdentityError:
    with pytest.raises(IdentityError) as raised:
        run(wanted, slots)
    assert slots.current() is None
    assert str(raised.value).isprintable()
    assert wanted.token.secret not in str(raised.value)
    return raised.value


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def certified_keys(cloud: Cloud) -> set[bytes]:
    return {public_pem(leaf.public_key()) for leaf in cloud.issued}  # type: ignore[arg-type]


# --- what it leaves -------------------------------------------------------------------------------------


def test_a_token_becomes_a_pair_in_use_and_all_that_the_daemon_needs(cloud: Cloud, slots: Slots):
    enrolled, said = run(order(cloud), slots)

    pair = slots.current()
    assert pair is not None
    leaf, *others = x509.load_pem_x509_certificates(pair.cert_file.read_bytes())
    assert (leaf, others) == (cloud.issued[0], [cloud.authority.intermediate])
    assert slots.ca_file.read_bytes() == pem(cloud.authority.root)
    assert slots.command_key_file.read_bytes() == public_pem(cloud.command_key.public_key())
    assert slots.cloud is not None
    assert (slots.cloud.gateway, slots.cloud.est_url) == (ID, cloud.url)
    assert (slots.cloud.host, slots.cloud.port) == ("broker.test", 8883)
    assert (enrolled.gateway, enrolled.key, enrolled.is_new) == (ID, "software", True)
    assert f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC" == enrolled.until
    assert list(said) == ["trust", "key", "certificate", "broker", "files"]


def test_a_key_in_a_file_is_called_one(cloud: Cloud, slots: Slots):
    assert "in a FILE" in run(order(cloud), slots)[1]["key"]


def test_nobody_else_can_read_what_it_leaves(cloud: Cloud, slots: Slots):
    run(order(cloud), slots)

    for path in [slots.folder, *slots.folder.rglob("*")]:
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_the_daemons_user(cloud: Cloud, slots: Slots):
    os.chown(slots.folder.parent, 4711, 4712)

    run(order(cloud), slots)

    owners = {(path.stat().st_uid, path.stat().st_gid) for path in [slots.folder, *slots.folder.rglob("*")]}
    assert owners == {(4711, 4712)}


def test_nothing_tells_the_token_afterwards(cloud: Cloud, slots: Slots):
    wanted = order(cloud)
    run(wanted, slots)

    assert not [
        name for name, content in files(slots.folder).items() if wanted.token.secret.encode() in content
    ]


def test_all_roots_of_a_cloud_that_changes_them_are_trusted(cloud: Cloud, slots: Slots, tmp_path: Path):
    new = Issuer(tmp_path / "new")
    cloud.extra_roots = [new.root, new.intermediate]

    run(order(cloud), slots)

    assert set(x509.load_pem_x509_certificates(slots.ca_file.read_bytes())) == {
        cloud.authority.root,
        new.root,
    }


# --- once more ------------------------------------------------------------------------------------------


def test_the_same_token_again_is_a_success_that_asks_nobody(cloud: Cloud, slots: Slots):
    first, _ = run(order(cloud), slots)
    before, asked = files(slots.folder), len(cloud.asked)

    again, said = run(order(cloud), slots)

    assert again == replace(first, is_new=False)
    assert (files(slots.folder), len(cloud.asked), said) == (before, asked, {})


def test_another_token_is_refused_where_somebody_is_enrolled(cloud: Cloud, slots: Slots):
    run(order(cloud), slots)
    before = files(slots.folder)

    with pytest.raises(EnrolmentError, match=f"enrolled already, as {ID} at {cloud.url}; give --again"):
        run(order(cloud, token=parse(cloud.token(ID, OTHER))), slots)
    assert files(slots.folder) == before


def test_another_token_enrols_anew_where_that_is_wanted_and_the_old_pair_stays_the_spare(
    cloud: Cloud, slots: Slots
):
    run(order(cloud), slots)
    old = slots.current()

    run(order(cloud, token=parse(cloud.token(ID, OTHER)), again=True), slots)

    assert slots.spare() == old
    assert len(certified_keys(cloud)) == 2


def test_an_old_pair_never_passes_for_a_new_enrolment(cloud: Cloud, slots: Slots):
    for secret in (est_cloud.SECRET, OTHER, "y" * 26, OTHER):
        run(order(cloud, token=parse(cloud.token(ID, secret)), again=True), slots)

    assert len(certified_keys(cloud)) == 4


def test_what_is_in_use_stays_so_while_enrolling_anew_fails(cloud: Cloud, slots: Slots):
    run(order(cloud), slots)
    old = slots.current()
    before = {name: content for name, content in files(slots.folder).items() if name[0] not in "bl"}
    cloud.denied.add(ID)

    with pytest.raises(EnrolmentError, match="this gateway is denied"):
        run(order(cloud, token=parse(cloud.token(ID, OTHER)), again=True), slots)
    assert slots.current() == old
    assert {name: files(slots.folder)[name] for name in before} == before


def test_an_answer_that_got_lost_does_not_cost_the_token(cloud: Cloud, slots: Slots):
    cloud.after = lambda path: path.endswith("simpleenroll")
    with pytest.raises(UnreachableError):
        run(order(cloud), slots)
    assert cloud.tickets[est_cloud.SECRET].used_for
    cloud.after = lambda _: False

    _, said = run(order(cloud), slots)

    assert said["key"] == "kept from the last attempt"
    assert len(cloud.issued) == 2
    assert cloud.issued[0].public_key() == cloud.issued[1].public_key()


def test_a_certificate_that_has_arrived_is_not_asked_for_again(cloud: Cloud, slots: Slots):
    cloud.after = lambda path: path.endswith("parameters")
    with pytest.raises(UnreachableError):
        run(order(cloud), slots)
    cloud.after = lambda _: False
    cloud.tickets[est_cloud.SECRET].used_at_unix_s -= 2 * est_cloud.RETRY_S

    run(order(cloud), slots)

    assert len(cloud.issued) == 1


def test_a_certificate_that_is_not_taken_any_more_is_asked_for_again(cloud: Cloud, slots: Slots):
    cloud.after = lambda path: path.endswith("parameters")
    with pytest.raises(UnreachableError):
        run(order(cloud), slots)
    cloud.after = lambda _: False
    answered = cloud._known
    cloud._known = lambda certificate: "" if certificate == cloud.issued[0] else answered(certificate)  # type: ignore[method-assign]

    run(order(cloud), slots)

    assert len(cloud.issued) == 2


FULL = OSError(errno.ENOSPC, "No space left on device")


def filling(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the disk be full after the n-th change."""
    left = iter(range(after))

    def counted(change):  # noqa: ANN001, ANN202
        def do(*args: object) -> None:
            if next(left, None) is None:
                raise FULL
            change(*args)

        return do

    for name in ("write", "point", "empty", "folder"):
        monkeypatch.setattr(durable, name, counted(getattr(durable, name)))


@pytest.mark.parametrize("changes", range(14))
def test_wherever_the_disk_is_full_the_same_token_brings_it_to_the_end(
    cloud: Cloud, slots: Slots, monkeypatch: pytest.MonkeyPatch, changes: int
):
    wanted = order(cloud)
    with monkeypatch.context() as patch:
        filling(patch, changes)
        with contextlib.suppress(IdentityError):
            run(wanted, slots)
    in_use = slots.current()

    enrolled, _ = run(wanted, Slots(slots.folder))

    assert enrolled.gateway == ID
    assert in_use in (None, slots.current())
    assert len(certified_keys(cloud)) == 1
    assert set(files(slots.folder)) >= {"a/key.pem", "a/cert.pem", "ca.pem", "cloud.json", "command.pub.pem"}


def test_a_disk_that_is_full_is_one_line(cloud: Cloud, slots: Slots, monkeypatch: pytest.MonkeyPatch):
    filling(monkeypatch, 3)

    with pytest.raises(IdentityError, match=f"{slots.folder}.*: No space left on device"):
        run(order(cloud), slots)


def test_somebody_else_at_work_is_not_disturbed(cloud: Cloud, slots: Slots):
    with (
        Slots(slots.folder).locked(),
        pytest.raises(IdentityError, match=f"process {os.getpid()} works there"),
    ):
        run(order(cloud), slots)
    assert cloud.asked == []


def test_a_leftover_key_that_is_damaged_is_replaced(cloud: Cloud, slots: Slots):
    cloud.after = lambda path: path.endswith("cacerts") and bool(cloud.issued)
    cloud.denied.add(ID)
    refused(order(cloud), slots)
    cloud.denied.clear()
    (slots.folder / "a" / "key.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\ngarbage")

    assert run(order(cloud), slots)[0].is_new


# --- refusals -------------------------------------------------------------------------------------------


def test_a_used_token_is_refused_in_the_clouds_own_words(cloud: Cloud, slots: Slots, tmp_path: Path):
    (tmp_path / "thief").mkdir()
    run(order(cloud), Slots(tmp_path / "thief" / "identity"))
    used = cloud.tickets[est_cloud.SECRET]
    wanted = order(cloud)
    cloud.tickets[est_cloud.SECRET] = used

    error = refused(wanted, slots)

    assert str(error) == f"{cloud.url} refuses: the token has been used; ask for a new one"
    assert isinstance(error, EnrolmentError)


def test_an_expired_token_is_refused(cloud: Cloud, slots: Slots):
    wanted = order(cloud)
    cloud.tickets[est_cloud.SECRET].expires_unix_s = 1.0

    assert "the token has expired" in str(refused(wanted, slots))


def test_a_token_that_nobody_knows_is_refused(cloud: Cloud, slots: Slots):
    wanted = order(cloud)
    cloud.tickets.clear()

    assert "the token is not valid" in str(refused(wanted, slots))


def test_a_server_that_is_down_may_be_tried_again(cloud: Cloud, slots: Slots):
    error = refused(order(cloud, url="https://localhost:1"), slots)

    assert isinstance(error, UnreachableError)
    assert "try again later" in str(error)


def test_without_a_tpm_there_is_no_enrolment_unless_it_is_allowed(cloud: Cloud, slots: Slots, tmp_path: Path):
    nowhere = Config(tcti=f"device:{tmp_path}/tpmrm0")

    with pytest.raises(TpmError, match=r"there is no TPM at .*allow_software_key"):
        run(order(cloud), slots, nowhere)
    assert cloud.asked == []


@pytest.mark.parametrize("what", ["name", "key"])
def test_a_certificate_that_was_not_asked_for_is_not_used(cloud: Cloud, slots: Slots, what: str):
    issue = cloud.authority.issue
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    cloud.authority.issue = (  # type: ignore[method-assign]
        lambda key, name: issue(other if what == "key" else key, "hq-02" if what == "name" else name)
    )

    assert ("hq-02" if what == "name" else "for our key") in str(refused(order(cloud), slots))


def test_a_certificate_of_an_authority_that_nobody_vouches_for_is_not_used(
    cloud: Cloud, slots: Slots, tmp_path: Path
):
    cloud.authority.issue = Issuer(tmp_path / "other").issue  # type: ignore[method-assign]

    assert "authority" in str(refused(order(cloud), slots))


def test_a_cloud_that_takes_us_for_another_is_not_used(cloud: Cloud, slots: Slots):
    known = cloud._known
    cloud._known = lambda certificate: known(certificate) and "hq-02"  # type: ignore[method-assign]

    assert "takes us for 'hq-02'" in str(refused(order(cloud), slots))


# --- who is it? -----------------------------------------------------------------------------------------


def test_whoever_has_another_root_gets_neither_token_nor_request(cloud: Cloud, slots: Slots, tmp_path: Path):
    with est_cloud.served(est_cloud.cloud(tmp_path / "another")) as another:
        error = refused(order(cloud, url=another.url), slots)

    assert "is not the cloud that this token is from" in str(error)
    assert "The token was not sent" in str(error)
    assert another.asked == ["GET /.well-known/est/cacerts"]


def test_a_man_in_the_middle_gets_neither_token_nor_request(cloud: Cloud, slots: Slots, tmp_path: Path):
    middle = Middle(Issuer(tmp_path / "middle"), "127.0.0.1", int(cloud.url.rpartition(":")[2]))
    with middle.listening() as url:
        error = refused(order(cloud, url=url), slots)

    assert "is not who it should be: its certificate is from another authority" in str(error)
    assert cloud.asked == ["GET /.well-known/est/cacerts"]
    assert middle.read.startswith(b"GET /.well-known/est/cacerts HTTP/1.1\r\n")
    assert b"Authorization" not in middle.read
    assert middle.read.count(b"\r\n\r\n") == 1


def test_a_server_of_the_right_cloud_with_another_name_gets_no_token(slots: Slots, tmp_path: Path):
    model = Cloud(Issuer(tmp_path / "cloud", host="another.example"))
    with est_cloud.served(model):
        error = refused(order(model), slots)

    assert "not for the name localhost" in str(error)
    assert model.asked == ["GET /.well-known/est/cacerts"]


def test_an_authority_that_is_given_vouches_from_the_first_byte(cloud: Cloud, slots: Slots, tmp_path: Path):
    other = Issuer(tmp_path / "other")
    error = refused(order(cloud, ca_file=other.root_file), slots)
    assert "is not who it should be" in str(error)
    assert cloud.asked == []

    run(order(cloud, ca_file=cloud.authority.root_file), slots)

    assert cloud.authority.root in x509.load_pem_x509_certificates(slots.ca_file.read_bytes())


def test_an_authority_that_is_given_does_not_replace_the_pin(cloud: Cloud, slots: Slots, tmp_path: Path):
    with est_cloud.served(est_cloud.cloud(tmp_path / "another")) as another:
        error = refused(order(cloud, url=another.url, ca_file=another.authority.root_file), slots)

    assert "is not the cloud that this token is from" in str(error)
    assert another.asked == ["GET /.well-known/est/cacerts"]


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_authorities_that_cannot_be_used_is_named(
    cloud: Cloud, slots: Slots, tmp_path: Path, content: str | None
):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)

    assert str(path) in str(refused(order(cloud, ca_file=path), slots))


# --- the clock ------------------------------------------------------------------------------------------


def test_a_clock_of_1970_enrols_without_judging_dates_and_says_so(cloud: Cloud, slots: Slots):
    _, said = run(order(cloud, now_unix_s=None), slots)

    assert "not their dates" in said["clock"]


def test_dates_are_judged_by_a_clock_that_is_right(slots: Slots, tmp_path: Path):
    model = Cloud(Issuer(tmp_path / "old", now=datetime.now(UTC) - timedelta(days=90)))
    issue = model.authority.issue
    model.authority.issue = lambda key, name: issue(key, name, starts=datetime.now(UTC))  # type: ignore[method-assign]
    with est_cloud.served(model):
        assert "expired" in str(refused(order(model), slots))

        assert run(order(model, now_unix_s=None), slots)[0].gateway == ID


def test_a_certificate_of_the_future_is_not_used_by_a_clock_that_is_right(cloud: Cloud, slots: Slots):
    issue = cloud.authority.issue
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    cloud.authority.issue = lambda key, name: issue(key, name, starts=tomorrow)  # type: ignore[method-assign]

    assert "check this machine's clock" in str(refused(order(cloud), slots))


# --- attestation ----------------------------------------------------------------------------------------


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> list[Chip]:
    """Keys whose place a chip proves; the list says which chip."""
    fitted = [Chip()]

    class InAChip(SoftwareKeys):
        def attester(self) -> Chip:  # type: ignore[override]
            return fitted[0]

    monkeypatch.setattr(enrol, "open_keys", lambda _config: InAChip())
    return fitted


@pytest.mark.parametrize("required", [True, False])
def test_a_chip_proves_where_the_key_lies(cloud: Cloud, slots: Slots, chip: list[Chip], required: bool):
    cloud.attestation_required = required

    _, said = run(order(cloud), slots)

    assert "the cloud believes" in said["attestation"]
    assert ID in cloud.attested


def test_a_chip_that_is_not_believed_is_told_why_where_the_proof_is_required(
    cloud: Cloud, slots: Slots, chip: list[Chip]
):
    cloud.attestation_required = True
    chip[0] = Chip(b"nobody's")

    assert "the maker of this TPM is not trusted" in str(refused(order(cloud), slots))


def test_a_chip_that_is_not_believed_enrols_where_no_proof_is_required(
    cloud: Cloud, slots: Slots, chip: list[Chip]
):
    chip[0] = Chip(b"nobody's")

    _, said = run(order(cloud), slots)

    assert "the maker of this TPM is not trusted" in said["attestation"]


def test_a_cloud_without_attestation_is_not_bothered(cloud: Cloud, slots: Slots, chip: list[Chip]):
    cloud.offers_attestation = False

    _, said = run(order(cloud), slots)

    assert "attestation" not in said


def test_a_tpm_that_fails_at_the_proof_is_the_reason_where_it_is_required(
    cloud: Cloud, slots: Slots, chip: list[Chip], monkeypatch: pytest.MonkeyPatch
):
    def fails(*_: object) -> None:
        raise TpmError("the TPM has no endorsement certificate")

    cloud.attestation_required = True
    monkeypatch.setattr(chip[0], "begin", fails)

    assert str(refused(order(cloud), slots)) == "the TPM has no endorsement certificate"


def test_nothing_heavy_is_loaded_before_it_is_needed():
    code = "import sys, gateway.identity.enrol; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout

    assert not {name.split(".")[0] for name in loaded.split()} & {"cryptography", "tpm2_pytss"}
