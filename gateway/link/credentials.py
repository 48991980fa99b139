"""What a session needs to be let in, and who provides it.

The link asks for it before each attempt and says afterwards what came of it. Certificates that change, trials
of new ones and keys in a TPM are the provider's business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.errors import DeniedError, GatewayError, IdentityError

if TYPE_CHECKING:  # a gateway without a link does not load it
    import ssl


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """For one attempt to connect.

    Args:
        host: Name or address of the broker.
        port: Its TCP port.
        context: With our certificate and key.
        pair: Names them, for people.
        is_trial: It is not the pair in use but a new one, or the former one as a last resort: it may be
            refused without a loss.
        in_tpm: The key does not leave the TPM, which may fail or hang.
        checks_time: The begin and end of the broker's certificate count.
        release: Lets go of the key; called in the thread of the handshake when that is over, well or badly.
    """

    host: str
    port: int
    context: "ssl.SSLContext"
    pair: str = ""
    is_trial: bool = False
    in_tpm: bool = False
    checks_time: bool = True
    release: Callable[[], None] = _nothing


class Credentials(Protocol):
    """The provider. All but `make` is for the loop's thread and returns at once."""

    limit_s: float
    """So long may `make` take, before it counts as stuck."""

    @property
    def uses_tpm(self) -> bool:
        """If `make` is stuck, that is because of the TPM."""

    def make(self) -> Access:
        """Return what to use now; may block, so it is called in a thread, one call at a time.

        Raises:
            LinkError: A file is wrong.
            TpmError: The TPM does not do its work; trying again later may help.
            IdentityError: There is nothing to use; it is looked for again when told, and now and then.
        """

    def useless(self, error: IdentityError) -> None:
        """`make` has found nothing that could be used."""

    def worked(self, access: Access) -> None:
        """The broker has let us in and taken our first message."""

    def refused(self, access: Access, error: DeniedError) -> bool:
        """The broker has turned us away; return True if there is something else to try at once."""

    def failed(self, access: Access, error: GatewayError) -> bool:
        """The attempt failed for another reason; return True if there is something else to try at once."""
