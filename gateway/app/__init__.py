"""The running daemon: wires the parts together and executes what the core decides."""
