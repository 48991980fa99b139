"""ota/trial-guard: a trial that nobody commits ends, even if the system no longer shuts down."""

import subprocess
from pathlib import Path

import pytest

from tests.fakes import pi_card
from tests.fakes.pi_card import SCRIPT, Card

pytestmark = pytest.mark.skipif(bool(pi_card.why_not()), reason=pi_card.why_not() or "-")


def guarded(card: Card, force: str = "true") -> str:
    """Run the guard with the card's back end; return the ways in which it has restarted."""
    told = card.folder / "restarts"
    told.write_text("")
    (card.folder / "ask").write_text(f"#!/bin/sh\necho asked >>{told}\n")
    (card.folder / "force").write_text(f"#!/bin/sh\necho forced >>{told}\n{force}\n")
    for name in ("ask", "force"):
        (card.folder / name).chmod(0o755)
    environment = card.environment() | {
        "REED_TRYBOOT": str(SCRIPT),
        "REED_REBOOT": str(card.folder / "ask"),
        "REED_REBOOT_BY_FORCE": str(card.folder / "force"),
        "REED_REBOOT_PATIENCE_S": "0",
        "REED_SYSRQ": str(told),
    }
    guard = SCRIPT.with_name("trial-guard")
    subprocess.run(["sh", guard], env=environment, check=True, capture_output=True, timeout=30)
    return told.read_text().replace("\n", " ").strip()


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


def test_a_system_that_is_committed_is_left_alone(card: Card):
    assert guarded(card) == ""
    card.install("B")
    assert guarded(card) == ""


def test_a_trial_ends_and_by_force_if_need_be(card: Card):
    card.install("B")
    card.reboot()
    assert guarded(card) == "asked forced"
    assert guarded(card, force="exit 1") in ("b", "asked forced b")
    assert card.reboot() == "A"


def test_a_committed_trial_is_left_alone(card: Card):
    card.install("B")
    card.reboot()
    card.call("set-state", "B", "good")
    assert guarded(card) == ""


def test_a_trial_without_its_data_ends_too(card: Card):
    card.install("B")
    card.reboot()
    (card.folder / "data").rename(card.folder / "lost")
    assert guarded(card) == "asked forced"
