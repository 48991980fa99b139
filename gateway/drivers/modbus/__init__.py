"""Modbus RTU over serial ports."""
