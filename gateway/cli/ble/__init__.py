"""`reed-gateway ble`: what is on the air, and adopting a sensor."""
