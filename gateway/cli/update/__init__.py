"""`reed-gateway update`: what people, and systemd, do with updates."""
