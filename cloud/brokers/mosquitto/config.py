"""What mosquitto is started with: its configuration, and the access list as the registry knows it."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from cloud.brokers.files import replace
from cloud.brokers.mosquitto import rights
from cloud.brokers.revocation import installed_file
from cloud.brokers.settings import Settings
from cloud.errors import SetupError
from cloud.home import Home

_PLUGIN = "mosquitto_dynamic_security.so"
_LIBRARIES = ("/usr/lib", "/usr/local/lib", "/usr/lib64")
_PAYLOAD_BYTES = 128 * 1024
_MARGIN_BYTES = 4 * 1024
"""For the topic and the properties of the largest message."""


def find_mosquitto() -> Path:
    """Return the program; Debian keeps it in /usr/sbin, which a user's PATH lacks. Raises SetupError."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SetupError("mosquitto is missing; install it with: apt install mosquitto")
    return Path(found)


def find_plugin() -> Path:
    """Return the dynamic-security plugin; its folder is named after the architecture. Raises SetupError."""
    for folder in map(Path, _LIBRARIES):
        for found in (folder / _PLUGIN, *sorted(folder.glob(f"*/{_PLUGIN}"))):
            if found.exists():
                return found
    raise SetupError(f"{_PLUGIN} is missing; install it with: apt install mosquitto")


def config_file(home: Home) -> Path:
    """Return where `write_config` puts it; start with `mosquitto -c` this."""
    return home.broker / "mosquitto.conf"


def access_file(home: Home) -> Path:
    """Return what the plugin reads at its start, and writes at every change."""
    return home.broker / "dynamic-security.json"


def _listener(home: Home, address: str) -> list[str]:
    return [
        f"listener {address}",
        f"cafile {home.chain_file}",
        f"certfile {home.cert_file('broker')}",
        f"keyfile {home.key_file('broker')}",
        f"crlfile {installed_file(home)}",
        "require_certificate true",
        "use_identity_as_username true",
    ]


def config_text(home: Home, settings: Settings, plugin: Path) -> str:
    """Return the configuration of mosquitto 2.0 (mosquitto.conf(5)).

    Gateways have a port of their own, where the client id is the certificate's name whatever the client says:
    nobody can push another off by taking its id. Our services have another, on the loopback only, where
    several of their processes may be connected at once.
    """
    lines = [
        "per_listener_settings false",
        "allow_anonymous false",
        f"plugin {plugin}",
        f"plugin_opt_config_file {access_file(home)}",
        f"pid_file {home.pid_file('mosquitto')}",
        "",
        "# docs/protocol.md section 1: nothing is expected of the broker's memory",
        "persistence false",
        "retain_available false",
        "persistent_client_expiration 1d",
        "",
        f"max_packet_size {_PAYLOAD_BYTES + _MARGIN_BYTES}",
        "max_inflight_messages 100",
        "max_queued_messages 100000",
        f"max_queued_bytes {256 * 1024 * 1024}",
        "max_keepalive 1200",
        "set_tcp_nodelay true",
        "sys_interval 0",
        "",
        "log_dest stderr",
        *(f"log_type {kind}" for kind in ("error", "warning", "notice")),
        "connection_messages true",
        "",
        *_listener(home, f"{settings.port} {settings.bind}".rstrip()),
        "use_username_as_clientid true",
        "",
        *_listener(home, f"{settings.admin_port} 127.0.0.1"),
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # else it drops to a user that may not read the keys
    return "\n".join(lines) + "\n"


def write_config(home: Home, settings: Settings) -> Path:
    """Write mosquitto.conf and return its path. Raises SetupError, OSError."""
    home.broker.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = config_file(home)
    replace(path, config_text(home, settings, find_plugin()).encode())
    return path


def write_access(home: Home, gateway_ids: Iterable[str]) -> Path:
    """Write the access list anew: our services and these gateways, nobody else. Before each start.

    The registry is the truth; a list that a power cut left damaged, or that missed a denial, does not last.
    Not while mosquitto runs: it would overwrite this at its next change. Raises OSError.
    """
    home.broker.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = access_file(home)
    replace(path, json.dumps(rights.document(gateway_ids), separators=(",", ":")).encode())
    return path
