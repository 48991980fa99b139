"""Canaries: secrets that a gateway is given, and every place where none of them may come out again."""

import asyncio
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.control.client import Client
from tests.fakes.broker import needs_mosquitto, running_broker
from tests.fakes.cloud import running_cloud
from tests.fakes.house import CONFIG, House, house

INLINE = "231d39c1d7cc1ab1aee224cd096db932"
LYING_OPEN = "5ea1ed0f0e1d2c3b4a59687766554433"
MISPLACED = "hunter2-in-the-wrong-line"

SENSORS = f"""
[sensor.sump]
kind = "bthome"
address = "54:48:E6:8F:80:A5"
key = "{INLINE}"
[sensor.attic]
kind = "bthome"
address = "54:48:E6:8F:80:A6"
key = "secret:attic"
"""
ROOF = '[sensor.roof]\nkind = "bthome"\naddress = "54:48:E6:8F:80:A7"\n'
REFUSED = (
    f'{ROOF}key = "{MISPLACED}"',
    f'{ROOF}key = ["{MISPLACED}"]',
    f'{ROOF}key = {{ value = "{MISPLACED}" }}',
    f'{ROOF}keys = "{MISPLACED}"',
    f'[sensor.roof]\npassphrase = "{MISPLACED}"',
    f'[zone]\nroof = "{MISPLACED}"',
    f'key = "{MISPLACED}',
)
"""What a tired person may write; the refusal must not repeat it."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        secrets = tmp_path / "run" / "secrets"
        secrets.mkdir(parents=True)
        (secrets / "attic").write_text(LYING_OPEN)
        made.config_file.write_text(CONFIG + SENSORS)
        yield made


def places(home: House) -> dict[str, str]:
    """Everything that leaves the daemon or stays on its disk, by where it is."""
    socket = home.folder / "run" / "org.reed.Gateway"
    with Client(socket) as client:
        told = {
            "status": json.dumps(client.call("GetView")),
            "events": json.dumps(client.call("GetEvents")),
            "metrics": client.call("GetMetrics")["text"],
            "log": home.log(),
        }
    for path in (home.folder / "state").glob("reed.sqlite*"):
        told[path.name] = path.read_bytes().decode("latin-1")
    return told | bundle(home, socket)


def bundle(home: House, socket: Path) -> dict[str, str]:
    made = home.folder / "bundle.tar.gz"
    words = ["diag", "--yes", "--output", made, "--socket", socket, "--config", home.config_file]
    subprocess.run([sys.executable, "-m", "gateway", *map(str, words)], check=True, capture_output=True)
    found = {}
    with tarfile.open(made) as tar:
        for entry in tar.getmembers():
            content = tar.extractfile(entry)
            assert content is not None
            found[f"bundle: {Path(entry.name).name}"] = content.read().decode()
    return found


@pytest.mark.parametrize("wrong", REFUSED)
def test_a_refused_configuration_keeps_its_secret(home: House, wrong: str):
    home.start()
    home.config_file.write_text(f"{CONFIG}{SENSORS}{wrong}\n")
    home.reload()
    home.until_view(lambda view: any(alarm["id"] == "adapter/config" for alarm in view["alarms"]))

    found = places(home)

    assert "configuration refused" in found["log"]
    for place, text in found.items():
        for secret in (MISPLACED, INLINE, LYING_OPEN):
            assert secret not in text, place
    assert home.stop() == 0


@pytest.mark.broker
@needs_mosquitto
async def test_keys_and_signed_commands_come_out_nowhere(home: House, tmp_path: Path):
    with running_broker(tmp_path) as (broker, ca):
        key_file = ca.key_file("house-7")
        home.config_file.write_text(
            f"""{CONFIG}{SENSORS}
[link]
host = "localhost"
port = {broker.port}
ca_file = "{ca.ca_file}"
cert_file = "{ca.cert_file("house-7")}"
key_file = "{key_file}"
command_key_file = "{ca.command_key_file}"
"""
        )
        async with running_cloud(ca, broker) as cloud:
            await asyncio.to_thread(home.start)
            await cloud.until(lambda cloud: cloud.status() == (True, "connected"))
            good = cloud.sign(cloud.claims("valve", {"valve": "main", "wish": "close"}))
            bad = cloud.sign(cloud.claims("valve", {"valve": "main", "wish": "open"}), key_file.read_bytes())
            await cloud.send("valve", good)
            await cloud.send("valve", bad)
            await cloud.until(lambda cloud: any(m["kind"] == "answer" for m in cloud.held.values()))
            await asyncio.to_thread(
                home.until_view, lambda view: view["link"]["commands_refused"] == {"bad_signature": 1}
            )

            found = await asyncio.to_thread(places, home)

    key_lines = [line for line in key_file.read_text().splitlines() if "-----" not in line]
    signatures = [token.decode().rpartition(".")[2] for token in (good, bad)]
    for place, text in found.items():
        for secret in (INLINE, LYING_OPEN, *key_lines, *signatures):
            assert secret not in text, place
    assert await asyncio.to_thread(home.stop) == 0
