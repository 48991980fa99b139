"""The figures, read by the parser of Prometheus's own client library, and by promtool where there is one."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.control import metrics
from gateway.control.client import Client
from gateway.domain.model import Json
from tests.fakes.gateway import FakeGateway, Served

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} stands there twice"
            found[key] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset((key.rstrip("_"), each) for key, each in labels.items())))


@pytest.fixture
def figures() -> Callable[[FakeGateway], Samples]:
    return lambda gateway: parsed(metrics.text(gateway))


def test_the_figures_come_over_the_control_socket(client: Client, gateway: Served):
    samples = parsed(client.call("GetMetrics")["text"])

    assert value(samples, "reed_up") == 1
    assert value(samples, "reed_uptime_seconds") == 3700
    assert value(samples, "reed_info", gateway="hq-01", version="0.1.0") == 1


def test_the_figures_are_those_of_the_view(figures: Callable[[FakeGateway], Samples]):
    gateway = FakeGateway()
    gateway.state["link"] = {
        "state": "up",
        "since_s": 60.0,
        "detail": "",
        "denied": "",
        "sessions": 3,
        "key_failures": 2,
        "commands_refused": {"bad_signature": 4},
    }
    gateway.late_s = 0.25

    samples = figures(gateway)

    for expected, name, labels in (
        (1, "reed_alarms", {"class_": "alarm", "state": "unacknowledged"}),
        (0, "reed_alarms", {"class_": "supervisory", "state": "acknowledged"}),
        (1, "reed_alarm_active", {"class_": "alarm", "kind": "leak", "subject": "zone/plant-room"}),
        (1, "reed_state", {"state": "alarm"}),
        (0, "reed_state", {"state": "normal"}),
        (1, "reed_sensors", {"health": "healthy"}),
        (1, "reed_sensors", {"health": "faulty"}),
        (1, "reed_sensor_wet", {"sensor": "pump", "kind": "bthome"}),
        (1, "reed_valves", {"state": "closed"}),
        (1, "reed_valve_state", {"valve": "kitchen", "state": "closed"}),
        (0, "reed_valve_state", {"valve": "kitchen", "state": "open"}),
        (4_810_360, "reed_meter_water_litres_total", {"meter": "street"}),
        (40, "reed_outbox_messages", {"channel": "tele"}),
        (812, "reed_messages_total", {}),
        (760, "reed_outbox_delivered_total", {}),
        (5, "reed_outbox_evicted_total", {}),
        (1, "reed_link_up", {}),
        (3, "reed_link_sessions_total", {}),
        (2, "reed_link_key_failures_total", {}),
        (4, "reed_link_commands_refused_total", {"reason": "bad_signature"}),
        (0, "reed_link_denied", {}),
        (0.25, "reed_core_late_seconds", {}),
        (0.0042, "reed_store_last_commit_seconds", {}),
    ):
        assert value(samples, name, **labels) == pytest.approx(expected), (name, labels)
    assert (value(samples, "reed_process_resident_memory_bytes") or 0) > 1_000_000


def test_an_update_is_told_by_state_version_and_progress(figures: Callable[[FakeGateway], Samples]):
    gateway = FakeGateway()
    samples = figures(gateway)
    about = {"kind": "os", "version": "1.4.0", "from_version": "1.3.2", "code": ""}

    assert value(samples, "reed_update_state", state="downloading") == 1
    assert value(samples, "reed_update_state", state="none") == 0
    assert value(samples, "reed_update_info", **about) == 1
    assert value(samples, "reed_update_percent") == 40

    gateway.state["update"] = {**gateway.state["update"], "state": "none", "percent": 0}
    samples = figures(gateway)
    assert value(samples, "reed_update_state", state="none") == 1
    assert value(samples, "reed_update_info", **about) is None


def test_what_nobody_knows_is_left_out(figures: Callable[[FakeGateway], Samples]):
    samples = figures(FakeGateway())

    assert value(samples, "reed_sensor_wet", sensor="cellar", kind="bthome") is None
    assert value(samples, "reed_sensor_healthy", sensor="cellar", kind="bthome") == 0
    assert value(samples, "reed_link_sessions_total") is None


def test_every_metric_has_help_and_type_before_its_samples_and_counters_end_in_total():
    help_seen: set[str] = set()
    types: dict[str, str] = {}
    text = metrics.text(FakeGateway())
    for line in text.splitlines():
        match line.split(" ", 3):
            case ["#", "HELP", name, _]:
                assert name not in help_seen
                help_seen.add(name)
            case ["#", "TYPE", name, kind]:
                assert name in help_seen
                types[name] = kind
            case [sample, *_]:
                assert list(types)[-1] == sample.partition("{")[0]
    assert {name for name, kind in types.items() if kind == "counter"} == {
        name for name in types if name.endswith("_total")
    }
    assert all(name.startswith("reed_") for name in types)
    assert text.endswith("\n")


@pytest.mark.parametrize("name", ['a"b', "back\\slash", "new\nline", "{}=,", "Küche №1", "\\n"])
def test_a_label_says_exactly_what_the_thing_is_called(name: str):
    text = metrics.family("reed_x", "gauge", "x", [({"sensor": name}, 1)])

    [family] = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"sensor": name}


def test_a_site_without_anything_gives_figures_too(figures: Callable[[FakeGateway], Samples]):
    gateway = FakeGateway()
    empty: dict[str, Json] = {name: {} for name in ("zones", "sensors", "valves", "meters", "flow_rules")}
    gateway.state |= empty | {"alarms": [], "state": "normal", "link": {"state": "off"}}

    samples = figures(gateway)

    assert value(samples, "reed_valves", state="fault") == 0
    assert value(samples, "reed_link_configured") == 0


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (apt install prometheus) is not there")
def test_promtool_finds_nothing_to_complain_about():
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=metrics.text(FakeGateway()),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_handbook_lists_every_figure_with_its_labels():
    gateway = FakeGateway()
    gateway.state["link"] = {
        "state": "up",
        "sessions": 1,
        "key_failures": 0,
        "commands_refused": {"expired": 1},
    }
    handbook = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    table = handbook.partition("<!-- metrics -->")[2].partition("<!-- end -->")[0]

    made = set()
    for family in text_string_to_metric_families(metrics.text(gateway)):
        labels = ",".join(family.samples[0].labels)
        name = family.samples[0].name
        made.add(f"`{name}{{{labels}}}`" if labels else f"`{name}`")

    assert {
        row.split(" | ")[0].removeprefix("| ") for row in table.splitlines() if row.startswith("| `")
    } == made


def test_who_asks_all_the_time_gets_a_text_that_is_made_twice_a_second(client: Client, gateway: Served):
    first = client.call("GetMetrics")["text"]
    gateway.gateway.state["state"] = "normal"

    assert client.call("GetMetrics")["text"] == first
