"""Two slots, one in use: what is promised of them whoever does what."""

import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway import durable
from gateway.errors import BusyError, IdentityError
from gateway.identity import records
from gateway.identity.pair import Pair
from gateway.identity.records import Attempt, Cloud
from gateway.identity.slots import Slots

HOLDS = """
import sys
from pathlib import Path
from gateway.identity.slots import Slots
with Slots(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def fill(pair: Pair, word: str) -> Pair:
    durable.write(pair.key_file, f"key {word}".encode())
    durable.write(pair.cert_file, f"certificate {word}".encode())
    return pair


def first(slots: Slots) -> Pair:
    pair = fill(slots.prepare(), "1")
    slots.promote(pair)
    return pair


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    return Slots(tmp_path / "identity")


def test_before_the_first_enrolment_there_is_nothing_and_nothing_is_made(slots: Slots):
    assert (slots.current(), slots.trial(), slots.spare()) == (None, None, None)
    assert (slots.cloud, slots.attempt) == (None, None)
    assert not slots.folder.exists()


def test_the_first_pair_is_used_at_once_and_the_next_only_after_its_trial(slots: Slots):
    one = first(slots)
    assert slots.current() == one == slots.pair("a")

    other = fill(slots.prepare(), "2")
    assert (slots.current(), slots.trial()) == (one, None)
    slots.stage(other)
    assert (slots.current(), slots.trial(), slots.spare()) == (one, other, other)
    slots.promote(other)
    assert (slots.current(), slots.trial(), slots.spare()) == (other, None, one)
    assert one.key_file.read_bytes() == b"key 1"


def test_a_refused_pair_leaves_the_one_in_use(slots: Slots):
    one, other = first(slots), fill(slots.prepare(), "2")
    slots.save_attempt(Attempt(1.0, "renew", "staged", other.slot))
    slots.stage(other)

    slots.reject(other, "not authorised")

    assert (slots.current(), slots.trial()) == (one, None)
    assert slots.attempt == Attempt(1.0, "renew", "rejected", "b", "not authorised")


def test_promotion_is_noted_with_the_renewal_that_it_came_from(slots: Slots):
    first(slots)
    other = fill(slots.prepare(), "2")
    slots.save_attempt(Attempt(1.0, "renew", "staged", other.slot))
    slots.stage(other)

    slots.promote(other)

    assert slots.attempt == Attempt(1.0, "renew", "promoted", "b", "")


def test_a_session_with_the_pair_in_use_does_not_end_the_trial_of_another(slots: Slots):
    one, other = first(slots), fill(slots.prepare(), "2")
    slots.stage(other)

    slots.promote(one)
    slots.reject(one, "no reason")

    assert slots.trial() == other


def test_the_slot_in_use_is_never_prepared(slots: Slots):
    one = first(slots)
    for word in "2345":
        before = one.key_file.read_bytes(), one.cert_file.read_bytes()
        fresh = slots.prepare()
        assert fresh != one
        assert [*fresh.key_file.parent.iterdir()] == []
        assert (one.key_file.read_bytes(), one.cert_file.read_bytes()) == before
        slots.stage(fill(fresh, word))
        slots.promote(fresh)
        one = fresh


def test_preparing_ends_a_trial_that_nobody_made(slots: Slots):
    first(slots)
    slots.stage(fill(slots.prepare(), "2"))

    slots.prepare()

    assert slots.trial() is None


@pytest.mark.parametrize("missing", ["key_file", "cert_file"])
def test_half_a_pair_is_neither_staged_nor_promoted_nor_shown(slots: Slots, missing: str):
    one, other = first(slots), fill(slots.prepare(), "2")
    slots.stage(other)
    getattr(other, missing).unlink()

    assert (slots.trial(), slots.spare()) == (None, None)
    for change in (slots.stage, slots.promote):
        with pytest.raises(IdentityError, match="not complete"):
            change(other)
    assert slots.current() == one


def test_everything_is_for_its_owner_only(slots: Slots):
    first(slots)
    slots.save_ca(b"root")
    slots.save_command_keys(b"key")
    slots.save_cloud(Cloud("hq-01", "https://cloud.test", "broker.test", 8883))
    slots.save_attempt(Attempt(1.0, "renew", "failed"))

    modes = {
        str(path.relative_to(slots.folder.parent)): stat.S_IMODE(path.lstat().st_mode)
        for path in [slots.folder, *slots.folder.rglob("*")]
        if not path.is_symlink()
    }

    assert {"identity/a/key.pem", "identity/lock", "identity/cloud.json"} < set(modes)
    assert all(
        mode == (0o600 if "." in name or name.endswith("lock") else 0o700) for name, mode in modes.items()
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_what_root_makes_belongs_to_the_user_of_the_daemon(tmp_path: Path):
    os.chown(tmp_path, 12345, 12346)
    slots = Slots(tmp_path / "identity")
    first(slots)
    slots.stage(fill(slots.prepare(), "2"))
    slots.save_attempt(Attempt(1.0, "renew", "failed"))

    for path in [slots.folder, *slots.folder.rglob("*")]:
        if not path.is_symlink():
            assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346), path


# --- the lock ---------------------------------------------------------------------------------------


def test_two_threads_that_make_the_lock_at_once_both_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The second makes the whole of it while the first has come half way."""
    lock, real = tmp_path / "lock", os.link
    opened: list[int] = []
    second = threading.Thread(target=lambda: opened.append(durable.open_lock(lock)))

    def overtaken(source: Path, target: Path) -> None:
        if second.ident is None:
            second.start()
            second.join()
        real(source, target)

    monkeypatch.setattr(os, "link", overtaken)
    opened.append(durable.open_lock(lock))

    assert {os.fstat(one).st_ino for one in opened} == {lock.stat().st_ino}
    assert len(opened) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    for one in opened:
        os.close(one)


def test_whoever_comes_second_is_told_who_works_there(slots: Slots):
    first(slots)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(slots.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=f"process {other.pid} works there"), slots.locked():
            pass
        # who only looks is not held up
        assert slots.current() == slots.pair("a")
        other.kill()  # the kernel opens it again, however the holder ended
        other.wait()
    with slots.locked():
        pass


def test_whoever_can_wait_gets_the_lock_when_it_is_free(slots: Slots):
    other = Slots(slots.folder)
    entered = threading.Event()

    def hold() -> None:
        with other.locked():
            entered.set()
            time.sleep(0.2)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(5)
    with slots.locked(wait_s=10):
        assert not other._lock._depth
    holder.join()


def test_two_threads_with_one_object_take_turns(slots: Slots):
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with slots.locked(wait_s=10):
                inside += 1
                most = max(most, inside)
                time.sleep(0)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == 1


def test_the_holder_may_enter_again(slots: Slots):
    with slots.locked(), slots.locked():
        first(slots)
    with Slots(slots.folder).locked():
        pass


# --- what cannot be read ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["c", "a/../b", "", "../../etc"])
def test_a_link_to_anywhere_else_counts_as_none(slots: Slots, text: str):
    first(slots)
    (slots.folder / "current").unlink()
    if text:
        (slots.folder / "current").symlink_to(text)
    (slots.folder / "trial").write_text(f"{text}\n")

    assert (slots.current(), slots.trial()) == (None, None)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{}", b'{"broker": 1}', b"[" * 100_000])
def test_damaged_records_say_nothing_and_break_nothing(slots: Slots, content: bytes):
    first(slots)
    for name in ("cloud.json", "renewal.json", "trial"):
        (slots.folder / name).write_bytes(content)

    assert (slots.cloud, slots.attempt, slots.trial()) == (None, None, None)
    assert slots.current() is not None


@pytest.mark.parametrize("port", [0, -1, 65536, 1.5, "8883", None, True])
def test_a_broker_without_a_possible_port_is_none(port: object):
    text = records.cloud_json(Cloud("hq-01", "https://cloud.test", "broker.test", 8883))
    assert records.parse_cloud(text) is not None
    changed = json.loads(text) | {"broker": {"host": "broker.test", "port": port}}
    assert records.parse_cloud(json.dumps(changed).encode()) is None


def test_records_come_back_as_they_were(slots: Slots):
    cloud, attempt = (
        Cloud("hq-01", "https://cloud.test:8443", "::1", 8883),
        Attempt(1.5, "renew", "failed", "", "kein Gerät"),
    )
    slots.save_cloud(cloud)
    slots.save_attempt(attempt)

    assert (slots.cloud, slots.attempt) == (cloud, attempt)


def test_a_folder_that_cannot_be_made_is_named_in_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(IdentityError, match=r"file.*Not a directory"):
        Slots(tmp_path / "file" / "identity").prepare()
    with pytest.raises(IdentityError, match=r"No such file or directory"):
        Slots(tmp_path / "missing" / "identity").prepare()


# --- any order ----------------------------------------------------------------------------------------


class Anything(RuleBasedStateMachine):
    """Renewal and daemon do what they like, in any order; the model is two variables."""

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")  # hundreds of fsyncs, and no disk is judged here
        self._temporary = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self.slots = Slots(Path(self._temporary.name) / "identity")
        self.count = 0
        self.in_use = b""
        self.staged: Pair | None = None

    def teardown(self) -> None:
        self._temporary.cleanup()

    @rule(complete=st.booleans(), stage=st.booleans())
    def renew(self, complete: bool, stage: bool) -> None:
        pair = self.slots.prepare()
        self.staged = None
        self.count += 1
        durable.write(pair.key_file, b"key %d" % self.count)
        if complete:
            durable.write(pair.cert_file, b"certificate %d" % self.count)
            if not self.in_use:
                self.slots.promote(pair)
                self.in_use = b"certificate %d" % self.count
            elif stage:
                self.slots.stage(pair)
                self.staged = pair

    @precondition(lambda self: self.staged)
    @rule(works=st.booleans())
    def decide(self, works: bool) -> None:
        pair = self.slots.trial()
        assert pair == self.staged
        assert pair is not None
        if works:
            self.slots.promote(pair)
            self.in_use = pair.cert_file.read_bytes()
        else:
            self.slots.reject(pair, "no")
        self.staged = None

    @precondition(lambda self: self.in_use)
    @rule()
    def fall_back(self) -> None:
        if (spare := self.slots.spare()) is not None:
            self.slots.promote(spare)
            self.in_use, self.staged = spare.cert_file.read_bytes(), None

    @invariant()
    def what_is_in_use_is_what_worked_last(self) -> None:
        current = self.slots.current()
        assert (current.cert_file.read_bytes() if current else b"") == self.in_use
        assert self.slots.trial() == self.staged
        if current:
            assert current.key_file.read_bytes().split()[1] == self.in_use.split()[1]


TestAnything = Anything.TestCase
