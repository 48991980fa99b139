"""Prepares a process for one home: Django, the database, the parts of the registry."""

import os
import secrets

import django
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connections

from cloud.brokers import open_broker
from cloud.brokers.names import RESERVED
from cloud.ca import open_issuer
from cloud.ca.files import write
from cloud.errors import SetupError
from cloud.home import Home
from cloud.project import databases
from cloud.project.config import Config, read
from cloud.registry.parts import Parts, install


def start(home: Home) -> Config:
    """Make Django and the registry work on this home, from now on in this process; return its settings.

    Called again with another home, it moves there (for the calling thread; tests do so).

    Raises:
        SetupError: The settings are wrong.
    """
    config = read(home)
    os.environ["REED_CLOUD_HOME"] = str(home.folder)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cloud.project.settings")
    django.setup()
    _use_database(home, config)
    install(
        Parts(
            home=home,
            public=config.public,
            enrolment=config.enrolment,
            policy=config.policy,
            ca=config.ca,
            broker_port=config.broker.port,
            taken=_taken(config),
            open_issuer=lambda: open_issuer(config.ca, config.policy, home),
            open_broker=lambda: open_broker(config.broker, home),
        )
    )
    return config


def _taken(config: Config) -> frozenset[str]:
    """Return the names that a gateway would take from somebody: RabbitMQ knows its users by name only."""
    hosts = {host.lower() for host in config.public.hosts}
    users = {config.broker.api_user, "guest"} if config.broker.kind == "rabbitmq" else set()
    return RESERVED | hosts | users


def _use_database(home: Home, config: Config) -> None:
    wanted = databases.settings(config.database.url, home)
    current = connections.settings["default"]
    if (current["NAME"], current["ENGINE"]) == (wanted["NAME"], wanted["ENGINE"]):
        return
    connections["default"].close()
    del connections["default"]
    settings.DATABASES["default"] = wanted
    connections.settings = connections.configure_settings(settings.DATABASES)


def prepare(home: Home, settings_toml: str = "") -> None:
    """Make the folders, Django's secret and cloud.toml of a new home; what there is stays.

    Raises:
        SetupError: The folder cannot be made.
    """
    try:
        for folder in (home.folder, home.ca, home.services, home.ek_roots, home.broker, home.nginx, home.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not home.secret_key_file.exists():
            write(home.secret_key_file, secrets.token_urlsafe(48).encode())
        if not home.settings_file.exists():
            write(home.settings_file, settings_toml.encode())
    except OSError as error:
        raise SetupError(f"{home.folder}: cannot be prepared: {error.strerror or error}") from None


def migrate() -> None:
    """Bring the database of the started home to the present tables.

    Raises:
        SetupError: It cannot be reached or changed.
    """
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as error:
        line = " ".join(str(error).split())
        raise SetupError(f"the database cannot be brought up to date: {line}") from None
