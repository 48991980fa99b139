"""A child of the supervisor over its lives: real processes that end, hang, talk and have children."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cloud.errors import ServiceError, SetupError
from cloud.run import child as children
from cloud.run import process
from cloud.run.child import Child, Program
from cloud.run.outlet import Outlet
from tests.fakes.waiting import until

PATIENCE_S = 20.0


def program(code: str, *words: str | Path, answers: Callable[[], bool] = lambda: True) -> Program:
    command = (sys.executable, "-c", code, *map(str, words))
    return Program(name="toy", command=command, prepare=lambda: None, answers=answers)


@asynccontextmanager
async def running(child: Child) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(child.run())
        yield
        task.cancel()


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


SLEEPS = "import time; time.sleep(1000)"


async def test_a_program_that_ends_is_started_again_and_its_last_words_are_told(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    lives = tmp_path / "lives"
    code = """
import pathlib, sys, time
lives = pathlib.Path(sys.argv[1])
with lives.open("a") as file:
    file.write("x")
time.sleep(0.3)
print("the well is dry", flush=True)
sys.exit(7)
"""
    child = Child(program(code, lives), lambda: None)

    with caplog.at_level("ERROR", "toy"):
        async with running(child):
            await until(lambda: lives.exists() and len(lives.read_text()) >= 2)

    assert "toy ended with status 7: the well is dry; it is started again in 0.5 s" in caplog.messages


async def test_pauses_between_lives_grow(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(children, "_PAUSES_S", (0.01, 0.02, 0.03))
    child = Child(program("import time; time.sleep(0.2)"), lambda: None)

    with caplog.at_level("ERROR", "toy"):
        async with running(child):
            await until(lambda: len(caplog.messages) >= 4)

    pauses = [message.rpartition("again in ")[2] for message in caplog.messages]
    assert pauses[:4] == ["0.01 s", "0.02 s", "0.03 s", "0.03 s"]


async def test_a_program_that_never_answered_is_not_tried_again_and_says_why():
    child = Child(program("import sys; sys.exit('no such harbour')", answers=lambda: False), lambda: None)

    with pytest.raises(ServiceError, match="toy ended with status 1: no such harbour"):
        await child.run()


async def test_a_program_that_cannot_be_executed_is_named():
    missing = Program("toy", ("/nonexistent/toy",), lambda: None, lambda: False)

    with pytest.raises(ServiceError, match=r"toy (cannot be started|ended).*/nonexistent/toy"):
        await Child(missing, lambda: None).run()


async def test_what_fails_before_the_start_is_the_reason():
    def prepare() -> None:
        raise SetupError("the ink is gone")

    with pytest.raises(ServiceError, match="toy cannot be started: the ink is gone"):
        await Child(Program("toy", ("true",), prepare, lambda: True), lambda: None).run()


async def test_a_fault_in_what_comes_before_a_later_start_takes_nobody_down(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(children, "_PAUSES_S", (0.01,))
    starts = 0

    def prepare() -> None:
        nonlocal starts
        starts += 1
        if starts == 2:
            raise ZeroDivisionError("of ours")

    child = Child(Program("toy", (sys.executable, "-c", SLEEPS), prepare, lambda: True), lambda: None)
    with caplog.at_level("ERROR", "toy"):
        async with running(child):
            await child.up.wait()
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            await until(lambda: child.lives == 2)

    assert any("cannot be started: ZeroDivisionError: of ours" in message for message in caplog.messages)


async def test_a_question_that_fails_is_no_answer():
    asked = 0

    def answers() -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise ValueError("nonsense")
        return True

    child = Child(program(SLEEPS, answers=answers), lambda: None)
    async with running(child):
        await child.up.wait()

    assert asked >= 2


async def test_a_program_that_stops_answering_is_killed_and_started_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(children, "_WATCH_EVERY_S", 0.02)
    monkeypatch.setattr(children, "_MOST_FAILURES", 3)
    well = [True]
    child = Child(program(SLEEPS, answers=lambda: well[0]), lambda: None)

    with caplog.at_level("ERROR", "toy"):
        async with running(child):
            await child.up.wait()
            well[0] = False
            await until(lambda: not child.up.is_set())
            well[0] = True
            await until(lambda: child.lives == 2)

    assert any("did not answer" in message for message in caplog.messages)


async def test_one_missed_answer_kills_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(children, "_WATCH_EVERY_S", 0.01)
    asked = 0

    def answers() -> bool:
        nonlocal asked
        asked += 1
        return asked % 3 != 0

    child = Child(program(SLEEPS, answers=answers), lambda: None)
    async with running(child):
        await until(lambda: asked > 60)
        assert child.lives == 1


async def test_a_child_that_is_wanted_anew_ends_in_good_order_and_comes_at_once():
    changes: list[int] = []
    child = Child(program(SLEEPS), lambda: changes.append(1))
    async with running(child):
        await child.up.wait()
        former = child.pid
        began_s = time.monotonic()
        child.renew()
        await until(lambda: child.lives == 2)
        assert child.pid != former
        assert time.monotonic() - began_s < PATIENCE_S / 2

    assert len(changes) >= 3  # up, down, up


@pytest.mark.parametrize("stubborn", ["SIG_DFL", "SIG_IGN"])
async def test_when_it_is_over_nothing_of_it_is_left_not_even_its_children(
    stubborn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    code = f"""
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.{stubborn})
below = subprocess.Popen([sys.executable, "-c", {SLEEPS!r}])
pathlib.Path(sys.argv[1]).write_text(str(below.pid))
time.sleep(1000)
"""
    monkeypatch.setattr(process, "STOP_S", 0.3)
    monkeypatch.setattr(process.end, "__defaults__", (0.3,))
    note = tmp_path / "pid"
    child = Child(program(code, note, answers=lambda: note.exists() and bool(note.read_text())), lambda: None)
    async with running(child):
        await child.up.wait()
        pid, below = child.pid, int(note.read_text())

    assert pid is not None
    assert child.pid is None
    await until(lambda: not is_alive(pid) and not is_alive(below))


async def test_the_kernel_ends_a_child_whose_supervisor_was_killed(tmp_path: Path):
    note = tmp_path / "pid"
    code = """
import asyncio, pathlib, sys
from cloud.run.child import Child, Program

async def main():
    sleeps = (sys.executable, "-c", "import time; time.sleep(1000)")
    child = Child(Program("toy", sleeps, lambda: None, lambda: True), lambda: None)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(child.run())
        await child.up.wait()
        pathlib.Path(sys.argv[1]).write_text(str(child.pid))

asyncio.run(main())
"""
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(note))
    try:
        await until(lambda: note.exists() and note.read_text())
        below = int(note.read_text())
        assert is_alive(below)
    finally:
        supervisor.kill()
        await supervisor.wait()

    await until(lambda: not is_alive(below))


async def test_children_are_not_told_what_systemd_told_us(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    note = tmp_path / "environment"
    code = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(repr(dict(os.environ)))"
    child = Child(program(f"{code}; time.sleep(1000)", note, answers=note.exists), lambda: None)
    async with running(child):
        await child.up.wait()
        await until(lambda: "PATH" in note.read_text())

    assert "NOTIFY_SOCKET" not in note.read_text()


# --- what it says ---------------------------------------------------------------------------------------


async def said(data: list[bytes], is_noise: Callable[[str], bool] = lambda _: False) -> tuple[list[str], str]:
    lines: list[str] = []
    outlet = Outlet(lines.append, is_noise)
    for chunk in data:
        os.write(outlet.writing_end, chunk)
        await asyncio.sleep(0)
    outlet.close()
    outlet.close()
    return lines, outlet.last_words()


async def test_lines_go_on_whole_however_they_come():
    lines, last = await said([b"one\ntw", b"o\n\nthr", b"ee"])

    assert lines == ["one", "two", "three"]
    assert last == "three"


async def test_a_line_without_end_is_cut_and_bytes_that_are_no_text_do_no_harm():
    lines, _ = await said([b"\xff" * 3000, b"a" * 3000, b"\nb\n"])

    assert lines[-1] == "b"
    assert max(map(len, lines)) <= 4096


async def test_noise_is_neither_told_nor_a_last_word():
    lines, last = await said([b"broken pipe\nping\nping\n"], lambda line: line == "ping")

    assert (lines, last) == (["broken pipe"], "broken pipe")


async def test_who_says_nothing_has_no_last_words():
    assert await said([]) == ([], "")


async def test_a_grandchild_that_keeps_the_pipe_does_not_keep_us(caplog: pytest.LogCaptureFixture):
    """As nginx' worker does after its master was killed."""
    code = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {SLEEPS!r}], start_new_session=True)
print("gone", flush=True)
"""
    child = Child(program(code, answers=lambda: False), lambda: None)
    began_s = time.monotonic()

    with pytest.raises(ServiceError, match="toy ended with status 0: gone"):
        await child.run()

    assert time.monotonic() - began_s < PATIENCE_S


def test_an_exit_is_told_in_words():
    assert process.said_how(3) == "with status 3"
    assert process.said_how(-signal.SIGKILL) == "by SIGKILL"
