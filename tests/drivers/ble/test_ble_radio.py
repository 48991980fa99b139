"""The radio on a real dbus-daemon and a working model of bluetoothd."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from dbus_fast import BusType, Message
from dbus_fast.aio import MessageBus

from gateway.app.bulkhead import Patience
from gateway.domain.ports import Advert
from gateway.drivers.ble import adapter as adapter_module
from gateway.drivers.ble import bus as bus_module
from gateway.drivers.ble import config as config_module
from gateway.drivers.ble import presence, recovery
from gateway.drivers.ble.config import Config
from gateway.drivers.ble.radio import BleRadio
from gateway.errors import DriverError
from tests.fakes import dbus
from tests.fakes.bluez import MONITOR, Adapter, BlueZ
from tests.fakes.waiting import until

pytestmark = pytest.mark.skipif(dbus.PROGRAM is None, reason="no dbus-daemon here: apt install dbus")

SENSOR, STRANGER = "54:48:E6:8F:80:A5", "11:22:33:44:55:66"
HCI0, HCI1 = "DC:A6:32:01:02:03", "DC:A6:32:01:02:04"


@pytest.fixture(autouse=True)
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(adapter_module, "WAIT_S", 0.4)
    monkeypatch.setattr(adapter_module, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(presence, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(adapter_module, "TICK_S", 0.05)
    with dbus.private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield


@asynccontextmanager
async def bluez(*adapters: Adapter, experimental: bool = False) -> AsyncIterator[BlueZ]:
    model = BlueZ(*(adapters or (Adapter("hci0", HCI0),)), experimental=experimental)
    await model.start()
    try:
        yield model
    finally:
        model.kill()


@asynccontextmanager
async def running(radio: BleRadio) -> AsyncIterator[dict[str, list[str]]]:
    """Run every part again after each failure, as the bulkhead does; yields what each failed with."""
    failures: dict[str, list[str]] = {name: [] for name in radio.parts()}

    async def keep(name: str, part: Callable) -> None:
        while True:
            try:
                await part()
            except DriverError as error:
                failures[name].append(str(error))
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(keep(name, part)) for name, part in radio.parts().items()]
        try:
            yield failures
        finally:
            for task in tasks:
                task.cancel()


def scanning(adapter: Adapter) -> bool:
    return bool(adapter.discoverers or adapter.monitors)


async def settled(model: BlueZ) -> None:
    """Return once the rules for the listeners are in force."""
    await until(lambda: all(scanning(adapter) for adapter in model.adapters.values()))
    await asyncio.sleep(0.2)


@pytest.mark.parametrize("experimental", [False, True])
async def test_a_wanted_sender_is_heard_and_a_stranger_is_not(experimental: bool):
    heard: list[Advert] = []
    radio = BleRadio(Config())
    async with bluez(experimental=experimental) as model, running(radio):
        with radio.listen(SENSOR, heard.append):
            await settled(model)
            model.advertise(STRANGER, {0xFCD2: b"\x40\x20\x01"})
            model.advertise(SENSOR, {0xFCD2: b"\x40\x00\x01"}, name="leak", rssi_dbm=-70)
            model.advertise(SENSOR, {0xFCD2: b"\x40\x00\x02"})
            await until(lambda: len(heard) == 2)

    assert heard == [
        Advert(SENSOR, {0xFCD2: b"\x40\x00\x01"}, {}, "leak", -70),
        Advert(SENSOR, {0xFCD2: b"\x40\x00\x02"}, {}, "leak", -60),
    ]


async def test_a_passive_scan_is_chosen_where_bluez_offers_monitors(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    async with bluez(experimental=True) as model, running(BleRadio(Config())):
        await settled(model)

        [adapter] = model.adapters.values()
        assert adapter.monitors
        assert not adapter.discoverers
    assert "hci0: passive scan" in caplog.text


async def test_an_active_scan_is_chosen_otherwise_and_the_log_says_why(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    async with bluez() as model, running(BleRadio(Config())):
        await settled(model)

        [adapter] = model.adapters.values()
        assert adapter.duplicates
    assert "active scan (no passive scan: bluetoothd offers no advertisement monitors" in caplog.text


async def test_passive_is_a_failure_where_it_was_asked_for_and_cannot_be_had():
    async with bluez() as model, running(BleRadio(Config(scan="passive"))) as failures:
        await until(lambda: failures["bluetooth/hci0"])

        assert not any(map(scanning, model.adapters.values()))
        assert "--experimental" in failures["bluetooth/hci0"][0]


async def test_a_repeat_is_heard_in_an_active_scan_and_a_change_of_signal_strength_is_no_advert():
    heard: list[Advert] = []
    radio = BleRadio(Config())
    async with bluez() as model, running(radio):
        with radio.listen(SENSOR, heard.append):
            await settled(model)
            for _ in range(3):
                model.advertise(SENSOR, {0xFCD2: b"\x40\x20\x01"})
            model.advertise(SENSOR, rssi_dbm=-90)
            model.advertise(SENSOR, {0xFCD2: b"\x40\x20\x00"})
            await until(lambda: heard and heard[-1].service_data[0xFCD2] == b"\x40\x20\x00")

    assert [advert.service_data[0xFCD2][-1] for advert in heard] == [1, 1, 1, 0]


async def test_a_passive_scan_passes_on_only_what_is_new_of_what_bluez_keeps():
    heard: list[Advert] = []
    radio = BleRadio(Config())
    async with bluez(experimental=True) as model, running(radio):
        with radio.listen(SENSOR, heard.append):
            await settled(model)
            model.advertise(SENSOR, {0xFCD2: b"wet"})
            model.advertise(SENSOR, {0xFE95: b"other"}, rssi_dbm=-80)
            model.advertise(SENSOR, {}, {0x0969: b"third"})
            await until(lambda: len(heard) == 3)

    assert [(advert.service_data, advert.manufacturer_data) for advert in heard] == [
        ({0xFCD2: b"wet"}, {}),
        ({0xFE95: b"other"}, {}),
        ({}, {0x0969: b"third"}),
    ]


async def test_what_bluez_knew_before_is_no_sign_of_life():
    heard: list[Advert] = []
    radio = BleRadio(Config())
    known = Adapter("hci0", HCI0)
    async with bluez(known) as model, running(radio):
        await settled(model)
        model.advertise(SENSOR, {0xFCD2: b"old"})
        assert known.devices
        with radio.listen(SENSOR, heard.append):
            await asyncio.sleep(0.3)
            assert heard == []
            model.advertise(SENSOR, {0xFCD2: b"new"})
            await until(lambda: heard)

    assert [advert.service_data[0xFCD2] for advert in heard] == [b"new"]


async def test_a_sender_that_only_repeats_itself_stays_alive_in_a_passive_scan(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(adapter_module, "FORGET_AFTER_S", 0.2)
    heard: list[Advert] = []
    radio = BleRadio(Config())
    async with bluez(experimental=True) as model, running(radio):
        with radio.listen(SENSOR, heard.append):
            await settled(model)

            def again() -> bool:
                model.advertise(SENSOR, {}, {0x8201: b"always the same"})
                return len(heard) >= 3

            await until(again)

    assert "RemoveDevice" in model.calls


async def test_a_paired_device_is_never_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(adapter_module, "FORGET_AFTER_S", 0.1)
    radio = BleRadio(Config())
    async with bluez(experimental=True) as model, running(radio):
        with radio.listen(SENSOR, lambda _advert: None):
            await settled(model)
            model.advertise(SENSOR, {0xFCD2: b"x"})
            [device] = model.adapters["/org/bluez/hci0"].devices.values()
            device.paired = True
            model.calls.clear()
            await until(lambda: model.calls.count("Get") >= 2)

    assert "RemoveDevice" not in model.calls
    assert "GetManagedObjects" not in model.calls, "among thousands of strangers the answer blocks the loop"


async def test_nobody_else_on_the_bus_can_pretend_to_be_a_sensor():
    heard: list[Advert] = []
    radio = BleRadio(Config())
    liar = BlueZ(Adapter("hci0", HCI0))
    async with bluez() as model, running(radio):
        with radio.listen(SENSOR, heard.append):
            await settled(model)
            [client] = model.adapters["/org/bluez/hci0"].discoverers
            sent: list[Message] = []
            liar._send = sent.append
            liar.adapters["/org/bluez/hci0"].discoverers.add("x")
            liar.advertise(SENSOR, {0xFCD2: b"forged"})
            await send_directly(sent[0], client)
            model.advertise(SENSOR, {0xFCD2: b"real"})
            await until(lambda: heard)

    assert [advert.service_data[0xFCD2] for advert in heard] == [b"real"]


async def test_nobody_else_on_the_bus_can_end_our_listening():
    async with bluez(experimental=True) as model, running(BleRadio(Config())) as failures:
        await settled(model)
        [client] = model.adapters["/org/bluez/hci0"].monitors
        call = Message(path="/org/reed/bluetooth/monitor", interface=MONITOR, member="Release")
        await send_directly(call, client)
        await asyncio.sleep(0.3)

        assert "UnregisterMonitor" not in model.calls
        assert failures["bluetooth/hci0"] == []


async def test_a_bluetoothd_that_hangs_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bus_module, "CALL_WAIT_S", 0.2)
    async with bluez() as model, running(BleRadio(Config())) as failures:
        model.hangs = True
        await until(lambda: failures["bluetooth/hci0"])

    assert failures["bluetooth/hci0"][0] == (
        "hci0: bluetoothd did not answer GetManagedObjects within 0.2 s; systemctl restart bluetooth"
    )


def test_a_bluetoothd_that_hangs_does_not_count_as_recovered_meanwhile():
    assert Patience().stable_s > bus_module.CALL_WAIT_S
    assert Patience().stable_s > adapter_module.WAIT_S


async def send_directly(message: Message, client: str) -> None:
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    message.destination = client
    await bus.send(message)
    bus.disconnect()


async def test_listeners_survive_the_death_of_bluetoothd_and_scanning_comes_back_by_itself():
    heard: list[Advert] = []
    radio = BleRadio(Config())
    async with bluez() as model, running(radio) as failures:
        with radio.listen(SENSOR, heard.append):
            await settled(model)
            model.kill()
            await until(lambda: failures["bluetooth/hci0"])
            assert failures["bluetooth/hci0"] == ["hci0: bluetoothd went away; systemctl status bluetooth"]
            await until(lambda: len(failures["bluetooth/hci0"]) > 1)
            assert failures["bluetooth/hci0"][1] == (
                "hci0: bluetoothd is not running; systemctl start bluetooth"
            )
            await model.start()
            await settled(model)
            model.advertise(SENSOR, {0xFCD2: b"back"})
            await until(lambda: heard)


async def test_a_removed_adapter_is_told_and_used_again_when_it_is_back():
    heard: list[Advert] = []
    radio = BleRadio(Config())
    async with bluez() as model, running(radio) as failures:
        with radio.listen(SENSOR, heard.append):
            await settled(model)
            adapter = model.unplug("hci0")
            await until(lambda: len(failures["bluetooth/hci0"]) > 1)
            assert "the adapter was removed" in failures["bluetooth/hci0"][0]
            assert "there is no such adapter (BlueZ has: none)" in failures["bluetooth/hci0"][1]
            model.plug(adapter)
            await settled(model)
            model.advertise(SENSOR, {0xFCD2: b"back"})
            await until(lambda: heard)


async def test_an_adapter_that_was_switched_off_is_switched_on_again():
    async with bluez() as model, running(BleRadio(Config())) as failures:
        await settled(model)
        model.switch("hci0", on=False)
        await until(lambda: failures["bluetooth/hci0"])
        await settled(model)

        assert "was switched off" in failures["bluetooth/hci0"][0]
        assert model.adapters["/org/bluez/hci0"].powered


async def test_a_blocked_adapter_is_told_with_what_blocks_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recovery, "rfkill", lambda: "blocked by software; rfkill unblock bluetooth")
    async with (
        bluez(Adapter("hci0", HCI0, powered=False, blocked=True)),
        running(BleRadio(Config())) as failures,
    ):
        await until(lambda: failures["bluetooth/hci0"])

    assert failures["bluetooth/hci0"][0] == (
        "hci0: cannot be switched on (Blocked through rfkill); blocked by software; rfkill unblock bluetooth"
    )


async def test_a_scan_that_ends_is_started_again():
    async with bluez() as model, running(BleRadio(Config())) as failures:
        await settled(model)
        model.stop_discovery("hci0")
        await settled(model)

        assert failures["bluetooth/hci0"] == []


async def test_a_bluetoothd_that_dies_of_the_monitor_gets_no_second_one():
    async with bluez(experimental=True) as model, running(BleRadio(Config())) as failures:
        await settled(model)
        assert model.adapters["/org/bluez/hci0"].monitors
        model.kill()
        await until(lambda: failures["bluetooth/hci0"])
        await model.start()
        await settled(model)
        assert model.adapters["/org/bluez/hci0"].discoverers


@pytest.mark.parametrize("scan", ["auto", "passive"])
async def test_after_a_released_monitor_somebody_listens_again(scan: Literal["auto", "passive"]):
    heard: list[Advert] = []
    radio = BleRadio(Config(scan=scan))
    async with bluez(experimental=True) as model, running(radio):
        with radio.listen(SENSOR, heard.append):
            await settled(model)
            model.release("hci0")

            def again() -> bool:
                model.advertise(SENSOR, {0xFCD2: b"\x40"})
                return bool(heard)

            await until(again)


async def test_a_kernel_that_refuses_monitors_ends_in_an_active_scan(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    picky = Adapter("hci0", HCI0, refuses_monitors=True)
    async with bluez(picky, experimental=True), running(BleRadio(Config())) as failures:
        await until(lambda: picky.discoverers)

    assert failures["bluetooth/hci0"] == []
    assert "active scan (bluetoothd let go of the advertisement monitor" in caplog.text


async def test_the_fault_of_one_adapter_leaves_the_other_at_work():
    heard: list[Advert] = []
    radio = BleRadio(Config(adapters=("hci0", HCI1)))
    async with bluez(Adapter("hci0", HCI0), Adapter("hci1", HCI1)) as model, running(radio) as failures:
        with radio.listen(SENSOR, heard.append):
            await settled(model)
            model.advertise(SENSOR, {0xFCD2: b"both"})
            await until(lambda: len(heard) == 2)
            model.unplug("hci0")
            await until(lambda: failures["bluetooth/hci0"])
            model.advertise(SENSOR, {0xFCD2: b"one"})
            await until(lambda: len(heard) == 3)

        assert failures[f"bluetooth/{HCI1}"] == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(config_module, "_SHORTEST_SILENCE_S", 0.0)
    monkeypatch.setattr(adapter_module, "PROBE_S", 0.4)
    monkeypatch.setattr(adapter_module, "_OFF_S", 0.01)
    monkeypatch.setattr(recovery, "reset", lambda _adapter: "reset by the test")
    return Config(silence_s=0.2)


async def test_a_quiet_sensor_among_strangers_does_not_make_the_adapter_deaf(impatient: Config):
    radio = BleRadio(impatient)
    async with bluez() as model, running(radio) as failures:
        with radio.listen(SENSOR, lambda _advert: None):
            await settled(model)
            model.calls.clear()
            for _ in range(200):
                model.advertise(STRANGER, {0xFCD2: b"\x40"})
                await asyncio.sleep(0.01)

    assert not {"StopDiscovery", "Set"} & set(model.calls)
    assert failures["bluetooth/hci0"] == []


async def test_a_deaf_adapter_goes_up_the_ladder_until_it_hears_again(
    impatient: Config, caplog: pytest.LogCaptureFixture
):
    heard: list[Advert] = []
    radio = BleRadio(impatient)
    adapter = Adapter("hci0", HCI0)
    adapter.on_step = lambda step: setattr(adapter, "deaf", adapter.deaf and step != "off")
    async with bluez(adapter) as model, running(radio):
        with radio.listen(SENSOR, heard.append):
            await settled(model)
            adapter.deaf = True

            def again() -> bool:
                model.advertise(SENSOR, {0xFCD2: b"\x40"})
                return bool(heard)

            await until(lambda: again() and not adapter.deaf)

    steps = [
        record.getMessage().rpartition("; ")[2]
        for record in caplog.records
        if "nothing" in record.getMessage()
    ]
    assert steps[:2] == ["restart of the scan", "power cycle"]


async def test_a_deaf_adapter_that_no_step_helps_is_told_and_goes_on_listening(impatient: Config):
    heard: list[Advert] = []
    radio = BleRadio(impatient)
    adapter = Adapter("hci0", HCI0)
    async with bluez(adapter) as model, running(radio) as failures:
        with radio.listen(SENSOR, heard.append):
            await settled(model)
            adapter.deaf = True
            await until(lambda: len(failures["bluetooth/hci0"]) >= 2)
            assert all("has heard nobody" in failure for failure in failures["bluetooth/hci0"])
            assert scanning(adapter)
            adapter.deaf = False
            model.advertise(SENSOR, {0xFCD2: b"wet"})
            await until(lambda: heard)
            count = len(failures["bluetooth/hci0"])
            for _ in range(60):
                model.advertise(SENSOR, {0xFCD2: b"wet"})
                await asyncio.sleep(0.02)
            assert len(failures["bluetooth/hci0"]) <= count + 1


async def test_a_deaf_adapter_whose_scan_is_ended_listens_again(impatient: Config):
    radio = BleRadio(impatient)
    adapter = Adapter("hci0", HCI0, deaf=True)
    async with bluez(adapter) as model, running(radio) as failures:
        with radio.listen(SENSOR, lambda _advert: None):
            await until(lambda: len(failures["bluetooth/hci0"]) >= 2)
            assert "has heard nobody" in failures["bluetooth/hci0"][-1]
            model.stop_discovery("hci0")
            await until(lambda: scanning(adapter), timeout_s=5.0)


async def test_a_sensor_that_is_added_while_the_adapter_is_deaf_is_heard_with_its_first_frame(
    impatient: Config,
):
    heard: list[Advert] = []
    radio = BleRadio(impatient)
    adapter = Adapter("hci0", HCI0, deaf=True)
    async with bluez(adapter) as model, running(radio) as failures:
        with radio.listen(STRANGER, lambda _advert: None):
            await until(lambda: failures["bluetooth/hci0"] and scanning(adapter))
            with radio.listen(SENSOR, heard.append):
                await asyncio.sleep(0.2)
                adapter.deaf = False
                model.advertise(SENSOR, {0xFCD2: b"wet"})
                await until(lambda: heard)


async def test_no_bus_at_all_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with pytest.raises(DriverError, match=r"hci0: no system bus .*systemctl status dbus"):
        await BleRadio(Config()).parts()["bluetooth/hci0"]()


async def test_a_cancelled_part_leaves_bluez_alone():
    async with bluez() as model:
        async with running(BleRadio(Config())):
            await settled(model)
        await until(lambda: not any(map(scanning, model.adapters.values())))


async def test_more_senders_than_the_bus_takes_rules_for_are_heard_all_the_same():
    heard: list[Advert] = []
    radio = BleRadio(Config())
    addresses = [f"54:48:E6:8F:{n >> 8:02X}:{n & 255:02X}" for n in range(300)]
    async with bluez() as model, running(radio):
        with contextlib.ExitStack() as listening:
            for address in addresses:
                listening.enter_context(radio.listen(address, heard.append))
            await settled(model)
            for n, address in enumerate(addresses, 1):
                model.advertise(address, {0xFCD2: b"\x40"})
                if n % 25 == 0:  # a socket that is full ends the sender of this library
                    await until(lambda n=n: len(heard) == n)
            await until(lambda: len(heard) == len(addresses))
