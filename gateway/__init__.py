"""reed gateway: leak protection for commercial buildings."""

__version__ = "0.1.0"
