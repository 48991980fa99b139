"""The other side of the virtual Pi's wires. It runs inside the Pi."""
