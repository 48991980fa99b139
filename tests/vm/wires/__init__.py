"""What the stories at the wires of the Pi share."""
