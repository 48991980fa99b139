"""Administration of the broker: mosquitto 2.0 or RabbitMQ 4, behind one interface."""

from cloud.brokers.interface import BrokerAdmin
from cloud.brokers.settings import Settings
from cloud.home import Home


def open_broker(settings: Settings, home: Home) -> BrokerAdmin:
    """Return the administration of the broker that the settings name; connects when first used."""
    if settings.kind == "rabbitmq":
        from cloud.brokers.rabbitmq.admin import RabbitAdmin  # noqa: PLC0415  # only one of them is needed

        return RabbitAdmin(settings, home)
    from cloud.brokers.mosquitto.admin import MosquittoAdmin  # noqa: PLC0415

    return MosquittoAdmin(settings, home)
