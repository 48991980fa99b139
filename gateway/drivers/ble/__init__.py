"""Bluetooth LE sensors, heard through BlueZ."""
