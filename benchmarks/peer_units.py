"""Each program with a configuration of the same size: one sensor, one output or judgement, one broker.

All but Theengs Gateway speak mutual TLS; it has no client certificates, so it speaks to the plain port.
None has its web interface or discovery on.
"""

import json
from dataclasses import dataclass

from benchmarks.peer_programs import INSIDE
from tests.system.harness.machine import SOURCE

GATEWAY_ID = "house-7"
PKI = "/etc/peers"
USER = "reed-gateway"
ADDRESS = "A4:C1:38:00:00:01"
BUILDING = "/run/reed-building/socket"


@dataclass(frozen=True, slots=True)
class Program:
    """One of those that are compared.

    Args:
        name: In the table.
        unit: Of systemd.
        files: To be written before it starts, by path.
        does: What it does meanwhile, for the table.
    """

    name: str
    unit: str
    files: dict[str, str]
    does: str


def _unit(what: str, run: str, environment: str = "") -> str:
    return f"""\
[Unit]
Description={what}
[Service]
User={USER}
Group=reed
RuntimeDirectory=peer
Environment=HOME=/run/peer PYTHONDONTWRITEBYTECODE=1 {environment}
WorkingDirectory=/run/peer
ExecStart={run}
"""


_GATEWAY = f"""\
[gateway]
id = "{GATEWAY_ID}"
[link]
host = "localhost"
port = 8883
ca_file = "{PKI}/ca.pem"
cert_file = "{PKI}/client.pem"
key_file = "{PKI}/client.key"
command_key_file = "{PKI}/command.pem"
receipts = "broker"
"""
_WIRED = f"""\
[board]
kind = "sim"
socket = "{BUILDING}"
[zone.cellar]
sensors = ["floor"]
valves = ["main"]
[sensor.floor]
kind = "contact"
line = "leak-kitchen"
[valve.main]
kind = "spring_return"
open_line = "kitchen-open"
closed_switch_line = "kitchen-is-closed"
travel_s = 4.0
max_run_s = 10.0
"""
_RADIO = f"""\
[board]
kind = "linux"
[zone.cellar]
sensors = ["pump"]
valves = []
action = "notify"
[sensor.pump]
kind = "bthome"
address = "{ADDRESS}"
"""

_MQTT_IO = f"""\
options: {{install_requirements: false}}
mqtt:
  host: localhost
  port: 8883
  client_id: mqtt-io
  topic_prefix: site
  tls: {{enabled: true, ca_certs: {PKI}/ca.pem, certfile: {PKI}/client.pem, keyfile: {PKI}/client.key}}
gpio_modules:
  - {{name: pins, module: gpiozero}}
digital_inputs:
  - {{name: leak, module: pins, pin: 17, interrupt: both}}
digital_outputs:
  - {{name: valve, module: pins, pin: 20}}
"""

_THEENGS = json.dumps(
    {"host": "127.0.0.1", "port": 1883, "user": "", "pass": "", "ble": 1, "discovery": 0, "log_level": "INFO"}
)

_FLOW = json.dumps(
    [
        {"id": "tab", "type": "tab", "label": "leak"},
        {
            "id": "tls",
            "type": "tls-config",
            "cert": f"{PKI}/client.pem",
            "key": f"{PKI}/client.key",
            "ca": f"{PKI}/ca.pem",
            "verifyservercert": True,
        },
        {
            "id": "broker",
            "type": "mqtt-broker",
            "broker": "localhost",
            "port": "8883",
            "clientid": "node-red",
            "usetls": True,
            "tls": "tls",
            "autoConnect": True,
            "protocolVersion": "4",
            "keepalive": "60",
            "cleansession": True,
        },
        {
            "id": "sensor",
            "type": "inject",
            "z": "tab",
            "props": [{"p": "payload"}],
            "payload": "false",
            "payloadType": "bool",
            "repeat": "60",
            "once": True,
            "wires": [["judge"]],
        },
        {
            "id": "judge",
            "type": "function",
            "z": "tab",
            "func": "msg.topic = 'site/leak'; return msg;",
            "outputs": 1,
            "wires": [["out"]],
        },
        {"id": "out", "type": "mqtt out", "z": "tab", "qos": "1", "broker": "broker", "wires": []},
        {
            "id": "in",
            "type": "mqtt in",
            "z": "tab",
            "topic": "site/valve",
            "qos": "1",
            "datatype": "auto-detect",
            "broker": "broker",
            "wires": [["judge"]],
        },
    ]
)
_RED = f"{INSIDE}/node-red/node_modules/node-red/red.js"
_NODE_RED = f"""\
module.exports = {{ flowFile: "{PKI}/flows.json", httpAdminRoot: false, httpNodeRoot: false,
    uiHost: "127.0.0.1", uiPort: 1880, credentialSecret: false,
    logging: {{ console: {{ level: "info" }} }} }};
"""


def _peer(name: str, run: str, does: str, files: dict[str, str], environment: str = "") -> Program:
    unit = f"peer-{name.split(maxsplit=1)[0].lower()}"
    service = {f"/etc/systemd/system/{unit}.service": _unit(name, run, environment)}
    return Program(name, unit, {**files, **service}, does)


def _ours(name: str, site: str, does: str) -> Program:
    return Program(name, "reed-gateway", {"/etc/reed/gateway.toml": _GATEWAY + site}, does)


PROGRAMS = (
    _ours(
        "reed-gateway",
        _WIRED,
        "one contact, one supervised valve (simulated board), outbox on disk, mutual TLS",
    ),
    _ours(
        "reed-gateway, BLE",
        _RADIO,
        "one BTHome sensor, 5 adverts/s, no pause in scanning, outbox on disk, mutual TLS",
    ),
    _peer(
        "mqtt-io",
        f"{INSIDE}/mqtt-io/bin/python -m mqtt_io {PKI}/mqtt-io.yml",
        "one input with interrupts, one output (gpiozero's mock pins), mutual TLS",
        {f"{PKI}/mqtt-io.yml": _MQTT_IO},
        "GPIOZERO_PIN_FACTORY=mock",
    ),
    _peer(
        "Theengs Gateway",
        f"{INSIDE}/theengs/bin/python -m TheengsGateway -c {PKI}/theengs.json",
        "the same BTHome sensor, scans 7 s of 12, no TLS",
        {f"{PKI}/theengs.json": _THEENGS},
    ),
    _peer(
        "Node-RED",
        f"/usr/bin/node {_RED} -s {PKI}/settings.js -u /run/peer",
        "five nodes: one reading a minute, a function, MQTT out and in, mutual TLS, editor off",
        {f"{PKI}/settings.js": _NODE_RED, f"{PKI}/flows.json": _FLOW},
    ),
)

AROUND = {
    "/etc/systemd/system/peer-broker.service": """\
[Unit]
Description=Broker for all
[Service]
User=mosquitto
ExecStart=/usr/sbin/mosquitto -c /etc/peers/mosquitto.conf
""",
    f"{PKI}/mosquitto.conf": f"""\
per_listener_settings true
log_dest stdout
log_type notice
log_type error
listener 1883 127.0.0.1
allow_anonymous true
listener 8883 127.0.0.1
allow_anonymous true
cafile {PKI}/ca.pem
certfile {PKI}/broker.pem
keyfile {PKI}/broker.key
require_certificate true
""",
    "/etc/systemd/system/peer-bluetooth.service": f"""\
[Unit]
Description=A model of bluetoothd
[Service]
Environment=PYTHONPATH={SOURCE} PYTHONDONTWRITEBYTECODE=1
ExecStart=/bin/sh -c '(cat {PKI}/senders; sleep infinity) | exec python3 -m tests.fakes.bluez_process'
""",
    f"{PKI}/senders": json.dumps({"address": ADDRESS, "service": {"fcd2": "400001015c2000"}}) + "\n",
}
