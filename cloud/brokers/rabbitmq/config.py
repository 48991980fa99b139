"""What RabbitMQ 4 must be told for our gateways. It is not ours to run, so an operator puts this in place."""

from cloud.brokers.settings import Settings
from cloud.home import Home

PLUGINS = ("rabbitmq_management", "rabbitmq_mqtt", "rabbitmq_auth_mechanism_ssl")
"""For /etc/rabbitmq/enabled_plugins."""

_PAYLOAD_BYTES = 128 * 1024
_MARGIN_BYTES = 4 * 1024
_SESSION_S = 24 * 3600


def plugins_text() -> str:
    """Return /etc/rabbitmq/enabled_plugins."""
    return f"[{','.join(PLUGINS)}].\n"


def config_text(home: Home, settings: Settings, *, api_port: int = 15671) -> str:
    """Return what belongs into rabbitmq.conf: MQTT by client certificate, and nothing without one.

    The common name is the user; the client id must be the certificate's DNS name, which is the same, so that
    nobody takes the place of another. Retained messages are off: docs/protocol.md needs none.
    """
    lines = [
        "mqtt.listeners.tcp = none",
        f"mqtt.listeners.ssl.1 = {settings.bind or '::'}:{settings.port}",
        "mqtt.allow_anonymous = false",
        f"mqtt.vhost = {settings.vhost}",
        "mqtt.exchange = amq.topic",
        "mqtt.ssl_cert_login = true",
        "ssl_cert_login_from = common_name",
        "mqtt.ssl_cert_client_id_from = subject_alternative_name",
        "mqtt.ssl_cert_login_san_type = dns",
        "mqtt.retained_message_store = rabbit_mqtt_retained_msg_store_noop",
        f"mqtt.max_packet_size_authenticated = {_PAYLOAD_BYTES + _MARGIN_BYTES}",
        f"mqtt.max_session_expiry_interval_seconds = {_SESSION_S}",
        "mqtt.prefetch = 100",
        "mqtt.tcp_listen_options.nodelay = true",
        f"management.ssl.port = {api_port}",
        f"management.ssl.cacertfile = {home.chain_file}",
        f"management.ssl.certfile = {home.cert_file('broker')}",
        f"management.ssl.keyfile = {home.key_file('broker')}",
    ]
    return "\n".join(lines) + "\n"


def advanced_text(home: Home, settings: Settings) -> str:
    """Return advanced.config: what TLS with clients rests on, which rabbitmq.conf cannot say in full.

    With `crl_dir`, a client's certificate needs a CRL of its issuer that does not name it; RabbitMQ reads it
    at each handshake (Erlang's ssl application, crl_check and ssl_crl_hash_dir).
    """
    options = [
        f'{{cacertfile, "{home.chain_file}"}}',
        f'{{certfile, "{home.cert_file("broker")}"}}',
        f'{{keyfile, "{home.key_file("broker")}"}}',
        "{verify, verify_peer}",
        "{fail_if_no_peer_cert, true}",
    ]
    if settings.crl_dir:
        folder = f'{{internal, [{{dir, "{settings.crl_dir}"}}]}}'
        options += ["{crl_check, peer}", f"{{crl_cache, {{ssl_crl_hash_dir, {folder}}}}}"]
    return f"[{{rabbit, [{{ssl_options, [{', '.join(options)}]}}]}}].\n"
