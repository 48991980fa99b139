"""The errors of the cloud: one class for each way the caller can react.

A message is one line for a person: what is wrong, where, and what to do about it.
"""


class CloudError(Exception):
    """Any failure that the cloud foresees; `exit_status` follows sysexits.h."""

    exit_status = 70


class SetupError(CloudError):
    """The home folder, its settings or a program that is needed is missing or wrong."""

    exit_status = 78


class ServiceError(CloudError):
    """One of our own programs does not start, or nobody answers where it should."""

    exit_status = 69


class UnknownError(CloudError):
    """There is no such gateway, site or token."""

    exit_status = 65


class RefusedError(CloudError):
    """A request that must not be granted; `reason` is a stable code for the audit trail.

    Args:
        reason: One word with dashes, e.g. "token-expired".
        detail: One line for the person at the gateway.
        status: The HTTP status that says it best.
    """

    exit_status = 77

    def __init__(self, reason: str, detail: str, status: int = 403) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.status = status


class SignerError(CloudError):
    """The key of the authority cannot be had or does not sign."""

    exit_status = 74


class BrokerError(CloudError):
    """The broker's administration cannot be reached or refuses; trying again later helps."""

    exit_status = 69
