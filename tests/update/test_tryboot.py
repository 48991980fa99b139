"""ota/rauc-tryboot on a card of three partitions, in front of a model of the Pi's firmware."""

from pathlib import Path

import pytest

from tests.fakes import pi_card
from tests.fakes.pi_card import Card, text

pytestmark = pytest.mark.skipif(bool(pi_card.why_not()), reason=pi_card.why_not() or "-")


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


@pytest.fixture
def on_trial(card: Card) -> Card:
    card.install("B")
    assert card.reboot() == "B"
    return card


def test_a_new_card_runs_its_first_slot(card: Card):
    assert (card.running, card.says("get-current"), card.says("get-primary")) == ("A", "A", "A")
    assert (card.says("get-state", "A"), card.says("get-state", "B")) == ("good", "good")
    assert card.note("committed") == "A"


def test_an_installed_slot_is_primary_until_the_next_boot_only(card: Card):
    card.install("B")
    assert card.says("get-primary") == "B"
    assert card.reboot() == "B"
    assert card.says("get-primary") == "A"


def test_a_trial_costs_no_write_of_the_first_partition(card: Card):
    before = (card.select / "autoboot.txt").stat()
    card.install("B")
    card.reboot()
    after = (card.select / "autoboot.txt").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_good_trial_is_committed_and_stays_over_the_second_and_third_reboot(on_trial: Card):
    on_trial.call("set-state", "B", "good")
    assert (on_trial.select / "autoboot.txt").read_text() == text("B")
    assert (on_trial.says("get-primary"), on_trial.says("get-state", "B")) == ("B", "good")
    assert [on_trial.reboot(), on_trial.reboot(), on_trial.cut_power()] == ["B", "B", "B"]
    assert not on_trial.forbidden


def test_the_way_back_to_the_first_slot_is_the_same(on_trial: Card):
    on_trial.call("set-state", "B", "good")
    on_trial.install("A")
    assert on_trial.reboot() == "A"
    on_trial.call("set-state", "A", "good")
    assert [on_trial.reboot(), on_trial.cut_power()] == ["A", "A"]


def test_an_uncommitted_trial_ends_with_the_next_boot_and_is_told(on_trial: Card):
    assert on_trial.reboot() == "A"
    assert on_trial.note("last") == "B fell-back"
    assert (on_trial.says("get-state", "B"), on_trial.note("staged")) == ("bad", "")


def test_a_power_cut_before_the_trial_starts_the_old_slot_and_is_told(card: Card):
    card.install("B")
    assert card.cut_power() == "A"
    assert card.note("last") == "B not-tried"
    assert (card.says("get-primary"), card.says("get-state", "B")) == ("A", "good")


def test_what_was_not_tried_can_be_tried_without_another_installation(card: Card):
    card.install("B")
    card.cut_power()
    card.call("set-primary", "B")
    assert (card.reboot(), card.note("last")) == ("B", "")


def test_a_repair_in_between_leaves_what_is_staged_alone(card: Card):
    card.install("B")
    card.call("repair")
    assert (card.says("get-primary"), card.reboot()) == ("B", "B")


def test_a_slot_that_is_being_written_is_not_tried_by_a_warm_reboot(card: Card):
    card.install("B")
    card.call("set-state", "B", "bad")
    assert (card.says("get-primary"), card.reboot()) == ("A", "A")
    assert card.says("get-state", "B") == "bad"


def test_choosing_the_committed_slot_again_disarms(card: Card):
    card.install("B")
    card.call("set-primary", "A")
    assert (card.says("get-primary"), card.reboot(), card.note("last")) == ("A", "A", "")


def test_only_a_trial_can_be_committed(card: Card):
    assert "only what runs" in card.call("set-state", "B", "good", check=False).stderr
    card.firmware.flag = True  # by hand, with nothing staged
    card.switch_on()
    assert "not on trial" in card.call("set-state", "B", "good", check=False).stderr
    assert card.note("committed") == "A"


def test_a_trial_by_hand_is_led_back(card: Card):
    card.firmware.flag = True
    assert card.reboot() == "A"


def test_the_committed_slot_cannot_be_overwritten_during_a_trial(on_trial: Card):
    refused = on_trial.call("set-state", "A", "bad", check=False)
    assert (refused.returncode, on_trial.says("get-state", "A")) == (1, "good")
    assert "slot A is committed and does not run" in refused.stderr


def test_is_trial_tells_only_while_nobody_has_committed(on_trial: Card):
    assert on_trial.call("is-trial", check=False).returncode == 0
    on_trial.call("set-state", "B", "good")
    assert on_trial.call("is-trial", check=False).returncode == 1
    on_trial.reboot()
    assert on_trial.call("is-trial", check=False).returncode == 1


def test_a_trial_is_known_without_the_data_partition_and_without_autoboot_txt(on_trial: Card):
    (on_trial.folder / "data").rename(on_trial.folder / "lost")
    assert on_trial.call("is-trial", check=False).returncode == 0
    (on_trial.select / "autoboot.txt").write_text("")
    assert on_trial.call("is-trial", check=False).returncode == 0


def test_a_slot_with_the_command_line_of_the_other_is_not_committed(on_trial: Card):
    (on_trial.folder / "cmdline").write_text("rauc.slot=A\n")
    refused = on_trial.call("set-state", "B", "good", check=False)
    assert refused.returncode == 1
    assert "slot B was started with the command line of slot A" in refused.stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "usage"),
        (("set-primary",), "usage"),
        (("set-primary", "C"), "there is no slot 'C'"),
        (("set-state", "A", "fine"), "not 'fine'"),
        (("get-primary", "A"), "usage"),
        (("reformat",), "unknown verb"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(card: Card, words: tuple[str, ...], problem: str):
    refused = card.call(*words, check=False)
    assert refused.returncode == 1
    assert problem in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_show_tells_everything(on_trial: Card):
    told = dict(line.split("=") for line in on_trial.says("show").splitlines())
    assert told == {
        "running": "B",
        "committed": "A",
        "trial": "yes",
        "staged": "B",
        "armed": "0",
        "last": "",
    }
