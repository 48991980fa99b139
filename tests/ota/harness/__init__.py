"""Makes, boots and drives a gateway with two slots from outside: firmware, power, mailbox, network."""
