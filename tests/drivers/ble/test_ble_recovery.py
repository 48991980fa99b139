from pathlib import Path

import pytest

from gateway.drivers.ble import recovery
from gateway.drivers.ble.config import Config
from gateway.errors import ConfigError, DriverError


def usb_adapter(sys: Path) -> Path:
    """Lay out /sys as the kernel does for a USB adapter; returns the device's switch."""
    device = sys / "devices" / "usb1" / "1-1.2"
    interface = device / "1-1.2:1.0"
    interface.mkdir(parents=True)
    (device / "idVendor").write_text("0a12\n")
    (device / "authorized").write_text("1\n")
    adapter = sys / "class" / "bluetooth" / "hci1"
    adapter.mkdir(parents=True)
    (adapter / "device").symlink_to(interface)
    return device / "authorized"


def rfkill(sys: Path, kind: str, soft: str = "0", hard: str = "0", number: int = 0) -> None:
    switch = sys / "class" / "rfkill" / f"rfkill{number}"
    switch.mkdir(parents=True)
    for name, text in (("type", kind), ("soft", soft), ("hard", hard)):
        (switch / name).write_text(f"{text}\n")


def test_a_usb_adapter_is_unplugged_and_plugged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    switch, seen = usb_adapter(tmp_path), []
    monkeypatch.setattr(recovery.time, "sleep", lambda _s: seen.append(switch.read_text()))

    assert recovery.reset("hci1", tmp_path) == "USB re-authorised"
    assert (seen, switch.read_text()) == (["0"], "1")


def test_a_usb_adapter_without_permission_says_what_is_needed(tmp_path: Path):
    switch = usb_adapter(tmp_path)
    switch.unlink()
    switch.mkdir()  # not writable as a file, not even for root

    with pytest.raises(DriverError, match=r"needs write permission for .*authorized"):
        recovery.reset("hci1", tmp_path)


def test_another_adapter_is_reset_by_the_kernel_or_says_why_not(tmp_path: Path):
    with pytest.raises(DriverError, match="HCI reset is not possible here"):
        recovery.reset("hci77", tmp_path)


@pytest.mark.parametrize(
    ("soft", "hard", "words"),
    [("0", "0", ""), ("1", "0", "rfkill unblock"), ("1", "1", "switch on the machine")],
)
def test_what_blocks_the_radio_is_told(tmp_path: Path, soft: str, hard: str, words: str):
    rfkill(tmp_path, "wlan", soft="1", number=0)
    rfkill(tmp_path, "bluetooth", soft, hard, number=1)

    told = recovery.rfkill(tmp_path)

    assert words in told
    assert bool(told) == bool(words)


def test_a_machine_without_rfkill_is_not_blocked(tmp_path: Path):
    assert recovery.rfkill(tmp_path) == ""


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"adapters": ()}, "adapters"),
        ({"adapters": ("hci0", "hci0")}, "adapters"),
        ({"adapters": ("wlan0",)}, "adapters"),
        ({"silence_s": 5.0}, "silence_s"),
    ],
)
def test_wrong_keys_are_named(given: dict, key: str):
    with pytest.raises(ConfigError) as error:
        Config(**given)

    assert [name for name, _ in error.value.problems] == [key]


def test_an_adapter_may_be_named_by_its_address():
    assert Config(adapters=("DC:A6:32:01:02:03",)).adapters == ("DC:A6:32:01:02:03",)
