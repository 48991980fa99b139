"""The programs of the embedded cloud: what each is started with, and how one sees that it works."""

import os
import shutil
import sys
from pathlib import Path

import cloud
from cloud.brokers.files import replace
from cloud.brokers.mosquitto import config as mosquitto
from cloud.errors import SetupError
from cloud.home import Home
from cloud.project.config import Config
from cloud.registry import services
from cloud.registry.models import State
from cloud.registry.parts import parts
from cloud.run import answers, database, nginx, ports
from cloud.run.child import Program

_GRACE_S = 3
"""Requests under way when the web application is to end get so long."""


def check_ports(config: Config) -> None:
    """Raise ServiceError if a port that we need is not to be had."""
    ports.check_free(config.public.https_port, config.public.bind, "[public] https_port")
    if config.broker.kind == "mosquitto":
        ports.check_free(config.broker.port, config.broker.bind, "[broker] port")
        ports.check_free(config.broker.admin_port, "127.0.0.1", "[broker] admin_port")


def front_door(home: Home, config: Config) -> answers.Https:
    """Return where everybody comes in."""
    public = config.public
    return answers.Https(public.bind, public.https_port, public.host, home.roots_file)


def programs(home: Home, config: Config) -> list[Program]:
    """Return what has to run on this host. Raises SetupError if a program is missing."""
    here = [_web(home), _nginx(home, config)]
    return [_mosquitto(home, config), *here] if config.broker.kind == "mosquitto" else here


def _mosquitto(home: Home, config: Config) -> Program:
    file = mosquitto.config_file(home)

    def prepare() -> None:
        mosquitto.write_config(home, config.broker)
        with database.in_use():
            enrolled = [gateway.id for gateway in services.gateways(state=State.ENROLLED)]
        mosquitto.write_access(home, enrolled)
        parts().broker.install_crl(home.crl_file.read_bytes())

    return Program(
        name="mosquitto",
        command=(str(mosquitto.find_mosquitto()), "-c", str(file)),
        prepare=prepare,
        answers=lambda: answers.broker(parts().broker),
        is_noise=_is_about_us,
    )


def _is_about_us(line: str) -> bool:
    """Return whether it only tells that our own administration comes and goes, as it does all the time."""
    return "broker-admin-" in line or "New connection from 127.0.0.1:" in line


def _web(home: Home) -> Program:
    root = str(Path(cloud.__file__).parents[1])
    search = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    options = (
        "--uds",
        str(home.web_socket),
        "--no-access-log",
        "--log-level",
        "warning",
        "--lifespan",
        "off",
        # nginx alone says who asks, in headers of ours
        "--no-proxy-headers",
        "--no-server-header",
        # more would wait for the database anyway, and hold memory meanwhile
        "--limit-concurrency",
        "64",
    )
    grace = ("--timeout-graceful-shutdown", str(_GRACE_S))
    return Program(
        name="web",
        command=(sys.executable, "-m", "uvicorn", "cloud.project.asgi:application", *options, *grace),
        prepare=lambda: home.web_socket.unlink(missing_ok=True),
        answers=lambda: answers.application(home.web_socket),
        environment={"REED_CLOUD_HOME": str(home.folder), "PYTHONPATH": search},
    )


def _nginx(home: Home, config: Config) -> Program:
    public, file = config.public, home.nginx / "nginx.conf"

    def prepare() -> None:
        home.nginx.mkdir(mode=0o700, exist_ok=True)
        replace(file, nginx.config_text(home, public, as_root=os.geteuid() == 0).encode())

    return Program(
        name="nginx",
        command=(str(_find_nginx()), "-c", str(file), "-p", str(home.nginx), "-e", "stderr"),
        prepare=prepare,
        answers=front_door(home, config).is_alive,
    )


def _find_nginx() -> Path:
    """Return the program; Debian keeps it in /usr/sbin, which a user's PATH lacks. Raises SetupError."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SetupError("nginx is missing; install it with: apt install nginx-light")
    return Path(found)
