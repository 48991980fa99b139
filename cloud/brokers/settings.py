"""What an operator may set about the broker: the table `[broker]` of cloud.toml."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which broker, and how its administration is reached.

    Args:
        kind: "mosquitto": our own, on this host. "rabbitmq": any, by its HTTP API.
        port: Where gateways connect (MQTT over TLS).
        bind: The address of that port; "" is every address.
        admin_port: mosquitto only: for our own services, on the loopback only.
        timeout_s: How long one request may take.
        api_url: RabbitMQ only: of its management plugin, e.g. "https://mq.example.com:15671".
        api_user: RabbitMQ only: an administrator.
        api_password_file: RabbitMQ only: the password, alone in a file.
        api_ca_file: RabbitMQ only: who signed its certificate (PEM); "" is our own authority.
        crl_dir: RabbitMQ only: a folder on this host in which it looks for CRLs; "" if it is not told to.
        vhost: RabbitMQ only: where MQTT clients live.
    """

    kind: Literal["mosquitto", "rabbitmq"] = "mosquitto"
    port: int = 8883
    bind: str = ""
    admin_port: int = 8884
    timeout_s: float = 5.0
    api_url: str = "https://localhost:15671"
    api_user: str = "reed"
    api_password_file: str = ""
    api_ca_file: str = ""
    crl_dir: str = ""
    vhost: str = "/"
