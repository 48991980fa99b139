"""The registry: which gateways there are, which certificates they hold, who decided what."""
