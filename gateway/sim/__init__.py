"""A simulated building behind the same interfaces as real hardware."""
