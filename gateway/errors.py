"""The errors of the gateway: one class for each way the caller can react.

A message is one line for a person: what is wrong, where, and what to do about it.
"""


class GatewayError(Exception):
    """Any failure that the gateway foresees; `exit_status` follows sysexits.h."""

    exit_status = 70


class ConfigError(GatewayError):
    """The configuration is wrong; a restart cannot help.

    Args:
        problems: `(key, what is wrong and what is allowed)`, all that were found.
        file: Where the keys stand; empty if they are no keys of a file, or the problems name it.
    """

    exit_status = 78

    def __init__(self, *problems: tuple[str, str], file: str = "") -> None:
        super().__init__("; ".join(f"{key}: {problem}" for key, problem in problems))
        self.problems = problems
        self.file = file


class DecodeError(GatewayError):
    """A sensor's bytes cannot be understood."""

    exit_status = 65


class DriverError(GatewayError):
    """A device (line, bus, radio) failed or is missing; trying again later may help."""

    exit_status = 69


class StoreError(GatewayError):
    """The disk did not take or give what was asked."""

    exit_status = 74


class LinkError(GatewayError):
    """The broker cannot be reached or broke the protocol; trying again later helps."""

    exit_status = 69


class DeniedError(LinkError):
    """The broker turns us away for who we are; only people at the cloud can change that.

    Args:
        message: One line.
        expired: It says that our certificate has ended: renewing may help.
    """

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


class IdentityError(GatewayError):
    """Our key or certificate cannot be had or used; the message says what to do about it."""

    exit_status = 77


class TpmError(IdentityError):
    """The TPM is missing, does not answer, or refuses; trying again later may help."""

    exit_status = 69


class UnreachableError(IdentityError):
    """The cloud's enrolment does not answer, or cannot just now; trying again later helps."""

    exit_status = 69


class BusyError(IdentityError):
    """Somebody else is changing our key and certificate; trying again when they have done helps."""

    exit_status = 75


class EnrolmentError(IdentityError):
    """The cloud refuses to certify us; trying again without a change does not help.

    Args:
        message: One line.
        status: The HTTP status of the refusal; None if it did not come as one.
        reason: The code of the refusal (docs/protocol.md: "Reed-Reason"); "" if there is none.
    """

    def __init__(self, message: str, status: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class CommandError(GatewayError):
    """A command from the cloud is not to be executed; `reason` is its wire code.

    The codes are listed in docs/protocol.md.
    """

    exit_status = 77

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class UpdateError(GatewayError):
    """An update, or a step of one, cannot be done; `code` is one of domain.update.model.Code.

    Args:
        passing: Worth trying again later.
    """

    exit_status = 75

    def __init__(self, code: str, detail: str, *, passing: bool = False) -> None:
        super().__init__(detail)
        self.code = code
        self.passing = passing


class ControlError(GatewayError):
    """The local control socket refused, or nobody answered on it."""

    exit_status = 69

    def __init__(self, name: str, message: str, exit_status: int = 69) -> None:
        super().__init__(message)
        self.name = name
        self.exit_status = exit_status


class DemoError(GatewayError):
    """A step of the demo did not hold; the message says what was seen instead."""

    exit_status = 1
