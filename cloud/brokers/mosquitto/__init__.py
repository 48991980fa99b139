"""mosquitto 2.0: rights by its dynamic-security plugin, certificates by CRL."""
