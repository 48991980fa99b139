"""The one error of the tool: a line for a person."""


class OtaError(Exception):
    """It cannot be done; the message says what is wrong, where, and what to do."""
