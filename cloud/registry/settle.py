"""Makes the broker follow what the database says about one gateway."""

from collections.abc import Callable

from django.db import DatabaseError

from cloud.errors import BrokerError
from cloud.registry import audit
from cloud.registry.models import Gateway, State
from cloud.registry.parts import parts

_ROUNDS = 5


def settle(gateway_id: str) -> None:
    """Grant or deny at the broker as the database says, until both agree.

    Read again afterwards: somebody else may have decided meanwhile, and the broker does as the last caller
    says, not as the last decision. Whoever decides settles, so the last decision is settled last.

    Raises:
        BrokerError: The broker did not follow; `reconcile` tries again.
    """
    broker = parts().broker
    wanted = _may_connect(gateway_id)
    for _ in range(_ROUNDS):
        if wanted:
            broker.grant(gateway_id)
        else:
            broker.deny(gateway_id)
        settled, wanted = wanted, _may_connect(gateway_id)
        if settled == wanted:
            return
    raise BrokerError(f"{gateway_id} is granted and denied again and again; look into the audit trail")


def settle_quietly(gateway_id: str, tell: Callable[[str, str, Exception], str] | None = None) -> str:
    """Do as `settle`, but record a failure (with `tell`) and return it; "" if there was none."""
    try:
        settle(gateway_id)
    except Exception as error:  # noqa: BLE001  # whatever it is, the CRL must still be tried
        return (tell or failed)("broker", gateway_id, error)
    parts().failing.pop(("broker", gateway_id), None)
    return ""


def failed(action: str, subject: str, error: Exception, actor: str = "cloud") -> str:
    """Record that something did not follow a decision, or failed, and return what to tell a person."""
    line = _line(error)
    try:
        audit.record(action, subject, actor=actor, outcome=audit.FAILED, reason=line)
    except DatabaseError as also:  # a full disk, say: what else there is to do must be done nevertheless
        return f"{line} (nor can that be recorded: {' '.join(str(also).split())})"
    return line


def failed_again(action: str, subject: str, error: Exception) -> str:
    """Do as `failed` for what is tried for ever, but record only what differs from the time before."""
    line = _line(error)
    if parts().failing.get((action, subject)) == line:
        return line
    told = failed(action, subject, error)
    if told == line:
        parts().failing[action, subject] = line
    return told


def recovered(action: str, subject: str) -> None:
    """Record that something works again, if it had failed."""
    if (action, subject) in parts().failing:
        audit.record(action, subject, actor="cloud", reason="works again")
        parts().failing.pop((action, subject), None)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _may_connect(gateway_id: str) -> bool:
    return Gateway.objects.filter(pk=gateway_id, state=State.ENROLLED).exists()
