"""Makes, boots and drives the virtual Raspberry Pi from outside."""
