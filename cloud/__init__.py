"""The control plane: who may connect, with which certificate, to which broker."""

__version__ = "0.1.0"
