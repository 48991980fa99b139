"""RabbitMQ 4 with its MQTT plugin: rights by its HTTP API."""
