"""The demo as a person runs it: the whole story, the live view, and every way in which it can end early."""

import asyncio
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from gateway.__main__ import main
from gateway.cli.demo import control_plane, enrolment, story, story_water
from gateway.cli.demo import stage as stages
from gateway.cli.demo.place import occupied
from gateway.cli.demo.relay import Relay, running_relay
from gateway.cli.demo.stage import Stage, running_stage
from gateway.cli.demo.tell import Teller, span
from gateway.errors import ConfigError, DemoError, DriverError
from tests.fakes.broker import needs_mosquitto
from tests.fakes.terminal import Terminal

PATIENCE_S = 20.0

pytestmark = pytest.mark.broker


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of all processes that name the folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = " ".join(process.info["cmdline"] or [])
        if str(folder) in words and process.pid != os.getpid():
            found.append(words)
    return found


def wait_for(holds: Callable[[], object], what: str) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s, f"never: {what}"
        time.sleep(0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "demo"
    wait_for(lambda: not processes_of(tmp_path), f"nothing left running: {processes_of(tmp_path)}")


@pytest.fixture
def playing(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The story, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo", "--script", "--folder", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@needs_mosquitto
@pytest.mark.timeout(180)
def test_story_holds_in_about_a_minute_and_leaves_nothing_running(
    playing: subprocess.Popen[str], folder: Path
):
    told, _ = playing.communicate(timeout=150)

    assert playing.returncode == 0, told
    assert "✗" not in told
    for step in (
        "reed-gateway enrol → first message at the cloud",
        "wet → main valve commanded",
        "wet → main valve closed, confirmed by its end switch",
        "wet → alarm at a subscriber on the broker",
        "refused, the alarm is latched",
        "none lost, none doubled",
        "0 copies",
        "reed-cloud gateway deny → its live session is ended",
        "it is not let in again, and its light says so",
        "reed-cloud gateway grant → session up, nobody was there",
        "1000 events without a network",
        "none lost",
        "none doubled",
        "short press: refused",
        "the gateway ends with status 0",
        "nothing is left running: 9 processes have ended",
    ):
        assert step in told
    assert processes_of(folder) == []
    assert not list((folder / "run").iterdir()) or not any(
        is_listening(at) for at in (folder / "run").iterdir()
    )


def is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@needs_mosquitto
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_signal_in_the_middle_takes_everything_down(
    playing: subprocess.Popen[str], folder: Path, number: signal.Signals, status: int
):
    wait_for_line(playing, "the gateway is READY")
    # it, building, gateway, reed-cloud, web application, mosquitto, nginx' master; its worker names no folder
    assert len(processes_of(folder)) >= 7

    playing.send_signal(number)

    assert playing.wait(PATIENCE_S) == status
    assert processes_of(folder) == []


@needs_mosquitto
def test_second_signal_does_not_cut_the_taking_down_short(playing: subprocess.Popen[str], folder: Path):
    wait_for_line(playing, "the gateway is READY")

    for _ in range(3):
        playing.send_signal(signal.SIGINT)
        time.sleep(0.02)

    assert playing.wait(PATIENCE_S) == 130
    assert processes_of(folder) == []


@needs_mosquitto
def test_killed_demo_leaves_nothing_running(playing: subprocess.Popen[str], folder: Path):
    wait_for_line(playing, "the gateway is READY")

    playing.kill()

    wait_for(lambda: not processes_of(folder), "the kernel ends what the demo had started")


@needs_mosquitto
def test_vanished_reader_ends_it_quietly(playing: subprocess.Popen[str]):
    wait_for_line(playing, "turns away")
    assert playing.stdout is not None

    playing.stdout.close()

    assert playing.wait(PATIENCE_S) == 0
    playing.stdout = None


def wait_for_line(process: subprocess.Popen[str], wanted: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if wanted in line:
            return
    raise AssertionError(f"it ended without: {wanted}")


@needs_mosquitto
def test_live_view_shows_a_leak_at_the_press_of_a_key_and_quits(folder: Path):
    terminal = Terminal(["demo", "--folder", str(folder)], DEMO="")
    try:
        terminal.until("q quit")
        terminal.press("l")
        terminal.until("LEAKS")
        terminal.until("unacknowledged, latched")
        terminal.press("x")
        terminal.until("gateway deny demo")
        terminal.until("cloud-denied/gateway prese")
        terminal.press("x")
        terminal.until("gateway grant demo")
        terminal.until("cloud-denied/gateway gone")
        terminal.press("n")
        terminal.until("CUT")
        terminal.press("k")
        terminal.until("starts again")
        terminal.until("link.*down")
        terminal.press("q")
        terminal.until_true(lambda: terminal.process.poll() is not None, "the end")

        assert terminal.process.returncode == 0
        assert "nothing is left running" in terminal.shown
    finally:
        terminal.close()


# --- when it cannot go on ---------------------------------------------------------------------------------


def test_missing_mosquitto_is_one_clear_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(control_plane.shutil, "which", lambda *_, **__: None)

    status = main(["demo", "--script", "--folder", str(folder)])

    assert status == 69
    assert capsys.readouterr().err == (
        "reed-gateway: mosquitto is missing; install it with: apt install mosquitto\n"
    )


@needs_mosquitto
def test_step_that_does_not_hold_ends_the_story_and_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    async def opens_without_leave(stage: Stage, tell: Teller) -> None:
        with tell.step("anybody may open"):
            await story_water.remote.expect(stage, ("succeeded", ""), "valve", story_water.OPEN)

    monkeypatch.setattr(story, "_ACTS", (enrolment.enrols, opens_without_leave))

    status = main(["demo", "--script", "--folder", str(folder)])

    said = capsys.readouterr()
    assert status == 1
    assert "step 10, anybody may open: expected succeeded, the answer was rejected not_authorised" in said.err
    assert "✗ anybody may open" in said.out or "FAILED anybody may open" in said.out


async def broken_stage(folder: Path, act: Callable[[Stage], object]) -> None:
    """Set the scene, do something to it, and wait for it to notice."""
    with occupied(folder) as place:
        async with running_stage(place, Teller(io.StringIO())) as stage:
            act(stage)
            await asyncio.sleep(PATIENCE_S)


@needs_mosquitto
async def test_gateway_that_ends_by_itself_ends_the_demo(folder: Path):
    with pytest.raises(DemoError, match="the gateway ended with status 0"):
        await broken_stage(folder, lambda stage: os.kill(stage.gateway.pids[-1], signal.SIGTERM))


@needs_mosquitto
async def test_cloud_that_ends_by_itself_ends_the_demo(folder: Path):
    with pytest.raises(DemoError, match="the cloud ended"):
        await broken_stage(folder, lambda stage: os.kill(stage.gateway.pids[0], signal.SIGKILL))


@needs_mosquitto
async def test_building_that_ends_by_itself_ends_the_demo(folder: Path):
    with pytest.raises(DriverError, match="the building is gone"):
        await broken_stage(folder, lambda stage: os.kill(stage.gateway.pids[-2], signal.SIGKILL))


@needs_mosquitto
async def test_failure_half_way_leaves_nothing_running(folder: Path, monkeypatch: pytest.MonkeyPatch):
    bad = folder.parent / "gateway.toml"
    bad.write_text(stages.TEMPLATE_FILE.read_text().replace('kind = "spring_return"', 'kind = "guillotine"'))
    monkeypatch.setattr(stages, "TEMPLATE_FILE", bad)

    with pytest.raises(ConfigError, match="guillotine"):
        await broken_stage(folder, lambda _: None)


@needs_mosquitto
async def test_building_that_does_not_stand_is_named_with_its_last_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stages, "PLAN_FILE", folder.parent / "nowhere.toml")

    with pytest.raises(DemoError, match=r"the building does not stand.*nowhere\.toml"):
        await broken_stage(folder, lambda _: None)


# --- its folder -------------------------------------------------------------------------------------------


def test_folder_with_something_else_in_it_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("the only copy")

    with pytest.raises(ConfigError, match="holds something else"), occupied(tmp_path):
        pass

    assert (tmp_path / "thesis.txt").read_text() == "the only copy"
    assert len(list(tmp_path.iterdir())) == 1


@needs_mosquitto
async def test_second_demo_finds_its_authority_again_and_enrols_even_if_the_first_left_it_denied(
    folder: Path,
):
    roots = set()
    for is_last in (False, True):
        with occupied(folder) as place:
            async with running_stage(place, Teller(io.StringIO())) as stage:
                await enrolment.enrols(stage, Teller(io.StringIO()))
                roots.add((place.cloud / "ca" / "roots.pem").read_bytes())
                if not is_last:
                    await stage.control.ask("gateway", "deny", stages.GATEWAY_ID, "--reason", "a test")

    assert len(roots) == 1


@needs_mosquitto
async def test_refusal_by_the_cloud_is_told_in_its_own_words(folder: Path):
    with occupied(folder) as place:
        async with running_stage(place, Teller(io.StringIO())) as stage:
            with pytest.raises(DemoError, match="token"):
                await enrolment.at_gateway(stage, "enrol", "--url", stage.control.url, "--token", "demo.x.y")


def test_two_demos_do_not_share_a_folder(tmp_path: Path):
    with occupied(tmp_path), pytest.raises(ConfigError, match="another demo runs there"), occupied(tmp_path):
        pass


def test_folder_is_used_again_with_its_cloud_and_without_its_state(tmp_path: Path):
    for _ in range(2):
        with occupied(tmp_path) as place:
            assert not place.state.exists()
            assert list(place.runtime.iterdir()) == []
            place.state.mkdir()
            place.cloud.mkdir(exist_ok=True)
            place.building_socket.touch()

    assert place.cloud.exists()


def test_sockets_lie_elsewhere_if_the_folder_has_a_long_name(tmp_path: Path):
    with occupied(tmp_path / ("x" * 100)) as place:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(place.control_socket))
        runtime = place.runtime

    assert not runtime.exists()


@pytest.mark.parametrize("name", ["file", "file/demo"])
def test_folder_that_cannot_be_made_is_an_error_of_one_line(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").touch()

    assert main(["demo", "--script", "--folder", str(tmp_path / name)]) == 78
    assert capsys.readouterr().err.count("\n") == 1


# --- its parts --------------------------------------------------------------------------------------------


@asynccontextmanager
async def caller(relay: Relay) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def says_back(relay: Relay, words: bytes) -> bool:
    async with caller(relay) as (reader, writer):
        writer.write(words)
        return await reader.read(100) == words


async def is_ended(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read(1) == b""
    except ConnectionError:
        return True


async def test_relay_forwards_until_it_is_cut_and_again_when_it_is_restored():
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(100):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, running_relay("127.0.0.1", port) as relay, caller(relay) as (reader, writer):
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"

        relay.cut()
        assert await is_ended(reader)
        async with caller(relay) as (refused, _):
            assert await is_ended(refused)

        relay.restore()
        assert await says_back(relay, b"again")


async def test_relay_without_a_broker_behind_it_ends_the_connection():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with running_relay("127.0.0.1", unused.getsockname()[1]) as relay, caller(relay) as (reader, _):
            assert await is_ended(reader)


@pytest.mark.parametrize(
    ("length_s", "text"),
    [(0.00042, "0.42 ms"), (0.0315, "31.5 ms"), (0.3, "300 ms"), (2.07, "2.07 s"), (43.21, "43.2 s")],
)
def test_times_have_three_digits(length_s: float, text: str):
    assert span(length_s) == text


def test_teller_without_unicode_uses_words():
    raw = io.BytesIO()
    tell = Teller(io.TextIOWrapper(raw, encoding="ascii"))

    with tell.step("wet → closed", timed=False):
        pass

    assert raw.getvalue() == b"   ok wet ? closed\n"
