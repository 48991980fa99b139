"""The cloud: wire format, signed commands, MQTT 5 over mutual TLS."""
