import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.domain.events import ShelveRequested, ValveRequested
from gateway.domain.model import Json, Wish
from tests.fakes.gateway import LEAK, Served, served


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "control") as running:
        yield running


@pytest.fixture
def reed(gateway: Served, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command against the gateway; returns its status, output and complaints."""

    def run(*words: str) -> tuple[int, str, str]:
        status = main([*words, "--socket", str(gateway.config.socket)])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return run


def test_status_shows_zones_valves_and_alarms(reed: Callable[..., tuple[int, str, str]]):
    status, out, _ = reed("status")

    assert status == 0
    assert out.startswith("hq-01: ALARM, running for 1 h 1 min, link up for 1 min, clock trusted")
    for words in (
        "plant-room  alarm (latched)",
        "kitchen  closed (confirmed)",
        "sensor-missing/sensor/cellar",
    ):
        assert words in out


@pytest.mark.parametrize(
    ("denied", "words"),
    [
        ("", "link down for 1 min 30 s (not enrolled; run: reed-gateway enrol), clock"),
        ("it is revoked", "link DENIED by the cloud for 1 min 30 s (it is revoked)"),
    ],
)
def test_status_says_why_there_is_no_session_with_the_cloud(
    reed: Callable[..., tuple[int, str, str]], gateway: Served, denied: str, words: str
):
    detail = "not enrolled; run: reed-gateway enrol"
    gateway.gateway.state["link"] = {"state": "down", "since_s": 90.0, "detail": detail, "denied": denied}

    assert words in reed("status")[1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ", update os 1.4.0 downloading 40 %\n"),
        (
            {"state": "waiting", "waits_for": "reboot", "percent": 0, "detail": "valve main is closing"},
            ", update os 1.4.0 waiting to reboot (valve main is closing)\n",
        ),
        (
            {"state": "rolled_back", "percent": 0, "code": "unhealthy"},
            "update os 1.4.0 rolled back (unhealthy)\n",
        ),
    ],
)
def test_status_tells_how_far_an_update_is(
    reed: Callable[..., tuple[int, str, str]], gateway: Served, changes: dict[str, Json], words: str
):
    gateway.gateway.state["update"] = {**gateway.gateway.state["update"], **changes}  # type: ignore[dict-item]

    assert words in reed("status")[1]


@pytest.mark.parametrize("state", ["none", "succeeded"])
def test_status_says_nothing_of_an_update_that_needs_nobody(
    reed: Callable[..., tuple[int, str, str]], gateway: Served, state: str
):
    gateway.gateway.state["update"] = {**gateway.gateway.state["update"], "state": state}  # type: ignore[dict-item]

    assert "update" not in reed("status")[1]


@pytest.mark.parametrize("supervised", [True, False])
def test_only_what_nobody_watches_is_shown_as_unsupervised(
    reed: Callable[..., tuple[int, str, str]], gateway: Served, supervised: bool
):
    for sensor in gateway.gateway.state["sensors"].values():  # type: ignore[union-attr]
        sensor["supervised"] = supervised  # type: ignore[index, call-overload]

    shown_in_zone = re.search(r"plant-room .* healthy, \d unsupervised, quorum", reed("status")[1])

    assert bool(shown_in_zone) is not supervised
    assert ("unsupervised" in reed("sensors")[1]) is not supervised


def test_status_check_tells_scripts_that_something_is_wrong(
    reed: Callable[..., tuple[int, str, str]], gateway: Served
):
    assert reed("status", "--check")[0] == 1
    gateway.gateway.state["state"] = "normal"
    reed("alarms", "ack", LEAK)  # whoever acts sees what is new, not the shared picture
    assert reed("status", "--check")[0] == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["status"], lambda view: view),
        (["sensors"], lambda view: view["sensors"]),
        (["alarms"], lambda view: view["alarms"]),
        (["alarms", "list"], lambda view: view["alarms"]),
        (["outbox"], lambda view: {"link": view["link"], "store": view["store"]}),
    ],
)
def test_what_is_shown_is_also_there_as_json(
    reed: Callable[..., tuple[int, str, str]], gateway: Served, words: list[str], expected: Callable
):
    status, out, _ = reed(*words, "--json")

    assert status == 0
    assert json.loads(out) == expected(gateway.gateway.view())


def test_options_may_stand_before_or_after_the_action(gateway: Served, capsys: pytest.CaptureFixture[str]):
    at = str(gateway.config.socket)

    assert main(["alarms", "--socket", at, "--json", "list"]) == 0
    assert json.loads(capsys.readouterr().out) == gateway.gateway.view()["alarms"]


def test_the_socket_may_come_from_the_environment(
    gateway: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("REED_SOCKET", str(gateway.config.socket))

    assert main(["sensors"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("cellar  ?      missing")


def test_closing_a_valve_waits_until_it_is_closed(reed: Callable[..., tuple[int, str, str]], gateway: Served):
    arrive_soon = threading.Thread(target=_arrive_when_asked, args=(gateway,))
    arrive_soon.start()
    status, out, _ = reed("valve", "close", "main", "--cause", "drip")
    arrive_soon.join()

    [event] = gateway.gateway.events
    assert isinstance(event, ValveRequested)
    assert (event.wish, event.request.cause) == (Wish.CLOSE, "drip")
    assert status == 0
    assert out.splitlines() == [
        "close main: executing",
        "close main: succeeded: closed, confirmed by its end switch",
    ]


def _arrive_when_asked(gateway: Served) -> None:
    while not gateway.gateway.awaited or not gateway.gateway.events:
        gateway.do(lambda: None)
    gateway.do(lambda: gateway.gateway.arrive("main"))


def test_nobody_needs_to_wait_for_a_valve(reed: Callable[..., tuple[int, str, str]]):
    assert reed("valve", "close", "main", "--no-wait")[:2] == (0, "close main: executing\n")


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["valve", "open", "main"], 75, f"reed-gateway: {LEAK} is latched; reset it first\n"),
        (["valve", "exercise", "main"], 1, "reed-gateway: main did not reach its end\n"),
        (
            ["valve", "close", "mian"],
            66,
            "reed-gateway: there is no valve 'mian'; there is: main, kitchen\n",
        ),
        (["alarms", "reset", LEAK, "--cause", "dry"], 75, "reed-gateway: dry for 20 of 60 s\n"),
        (["alarms", "reset", LEAK, "--cause", ""], 64, None),
    ],
)
def test_a_refusal_is_one_line_and_an_exit_status(
    reed: Callable[..., tuple[int, str, str]], words: list[str], status: int, complaint: str | None
):
    got, out, err = reed(*words)

    assert (got, out) == (status, "")
    assert complaint is None or err == complaint
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["status", "sensors", "alarms", "events", "outbox", "walk-test x"])
def test_no_gateway_is_one_line_and_exit_status_69(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
):
    status = main([*command.split(), "--socket", str(tmp_path / "nobody")])

    assert status == 69
    assert capsys.readouterr().err.endswith("is the gateway running? try: systemctl status reed-gateway\n")


def test_an_alarm_is_acknowledged_and_shelved(reed: Callable[..., tuple[int, str, str]], gateway: Served):
    assert reed("alarms", "ack", LEAK) == (0, f"ack {LEAK}: succeeded\n", "")
    assert reed("alarms", "shelve", LEAK, "--for", "2h", "--cause", "plumber")[0] == 0

    shelve = gateway.gateway.events[-1]
    assert isinstance(shelve, ShelveRequested)
    assert (shelve.duration_s, shelve.request.cause) == (7200.0, "plumber")
    assert "acknowledged, latched" in reed("alarms")[1]


@pytest.mark.parametrize(
    "words",
    [
        ["alarms", "shelve", LEAK, "--for", "soon", "--cause", "x"],
        ["alarms", "reset", LEAK],
        ["valve", "melt", "main"],
        ["valve"],
    ],
)
def test_wrong_usage_ends_with_64(words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(words)

    assert caught.value.code == 64
    assert "Traceback" not in capsys.readouterr().err


def test_a_stored_wish_is_told_apart_from_a_done_one(
    reed: Callable[..., tuple[int, str, str]], gateway: Served, monkeypatch: pytest.MonkeyPatch
):
    def store(event: ValveRequested) -> None:
        gateway.gateway._answer(event.request, "executing", "", "stored: button has the valve")

    monkeypatch.setattr(gateway.gateway, "emit", store)

    assert reed("valve", "close", "main") == (
        75,
        "close main: executing: stored: button has the valve\n",
        "",
    )


def test_events_show_the_last_messages(reed: Callable[..., tuple[int, str, str]], gateway: Served):
    gateway.do(lambda: [gateway.gateway.publish("note", {"n": n, "empty": ""}) for n in range(5)])

    lines = reed("events", "-n", "2")[1].splitlines()

    assert [line.split()[2:] for line in lines] == [["event", "note", "n=3"], ["event", "note", "n=4"]]
    assert [json.loads(line)["body"]["n"] for line in reed("events", "--json")[1].splitlines()] == [
        0,
        1,
        2,
        3,
        4,
    ]


def test_events_are_followed_until_interrupted(gateway: Served):
    following = subprocess.Popen(
        [sys.executable, "-m", "gateway", "events", "-f", "--json", "--socket", str(gateway.config.socket)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not gateway.gateway.listeners:
        gateway.do(lambda: None)
    gateway.do(lambda: gateway.gateway.publish("note", {"n": 1}))
    line = following.stdout.readline()
    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=60)

    assert json.loads(line)["body"] == {"n": 1}
    assert (following.returncode, err) == (130, "")


def test_an_untrusted_clock_shows_no_invented_time(
    reed: Callable[..., tuple[int, str, str]], gateway: Served
):
    gateway.do(lambda: gateway.gateway.publish("note", {"n": 1}))
    gateway.gateway._messages[0] = replace(gateway.gateway._messages[0], at_unix_s=None)

    assert reed("events")[1].startswith("+101.0 s  event")


def test_a_walk_test_ends_when_every_sensor_has_passed(
    reed: Callable[..., tuple[int, str, str]], gateway: Served
):
    walking = threading.Thread(target=_walk, args=(gateway, ["pump", "cellar"]))
    walking.start()
    status, out, _ = reed("walk-test", "plant-room")
    walking.join()

    assert status == 0
    assert out.splitlines() == [
        "plant-room is under test: wet and dry each of pump, cellar; Ctrl-C ends it",
        "pump: wet (2 to go)",
        "pump: passed (1 to go)",
        "cellar: wet (1 to go)",
        "cellar: passed (0 to go)",
        "test over; every sensor passed",
    ]
    assert gateway.gateway.state["zones"]["plant-room"]["state"] == "dry"


def test_a_walk_test_names_the_sensor_that_was_not_heard(
    reed: Callable[..., tuple[int, str, str]], gateway: Served
):
    walking = threading.Thread(target=_walk, args=(gateway, ["pump"]))
    walking.start()
    status, out, _ = reed("walk-test", "plant-room", "--for", "0.5s")
    walking.join()

    assert (status, out.splitlines()[-1]) == (1, "test over; NOT passed: cellar")
    assert gateway.gateway.state["zones"]["plant-room"]["state"] == "dry"


def _walk(gateway: Served, sensors: list[str]) -> None:
    while gateway.gateway.state["zones"]["plant-room"]["state"] != "test":
        gateway.do(lambda: None)
    for sensor in sensors:
        gateway.do(lambda sensor=sensor: gateway.gateway.walk(sensor))


def test_a_walk_test_can_be_switched_by_scripts(reed: Callable[..., tuple[int, str, str]], gateway: Served):
    assert reed("walk-test", "plant-room", "--on")[:2] == (0, "walk test of plant-room on: succeeded\n")
    assert gateway.gateway.state["zones"]["plant-room"]["state"] == "test"
    assert reed("walk-test", "plant-room", "--off")[0] == 0
    assert gateway.gateway.state["zones"]["plant-room"]["state"] == "dry"


def test_the_outbox_names_every_counter(reed: Callable[..., tuple[int, str, str]]):
    out = reed("outbox")[1]

    assert out.startswith("link up for 1 min")
    assert re.search(r"^queued tele +40$", out, re.MULTILINE)


@pytest.mark.parametrize("command", ["status", "valve", "events"])
def test_commands_that_only_print_start_without_heavy_imports(command: str):
    probe = (
        f"import sys, gateway.cli.{command};"
        "print([m for m in ('asyncio', 'rich', 'msgspec', 'ssl', 'sqlite3') if m in sys.modules])"
    )

    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "[]"
