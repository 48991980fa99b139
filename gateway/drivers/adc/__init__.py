"""Analogue inputs through converters on SPI and I2C."""
