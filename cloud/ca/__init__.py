"""The authority: what may be certified, with which key, and what is revoked."""

from cloud.ca.authority import Issuer
from cloud.ca.config import Config
from cloud.ca.policy import Policy
from cloud.home import Home


def open_issuer(config: Config, policy: Policy, home: Home) -> Issuer:
    """Return who issues by these settings; keys are opened when first used.

    Raises:
        SetupError: There has been no ceremony yet, or a file is missing or damaged.
    """
    if config.issuer == "est":
        from cloud.ca.external import ExternalIssuer  # noqa: PLC0415  few have one

        return ExternalIssuer(config, home)
    from cloud.ca.own import OwnIssuer  # noqa: PLC0415  as above

    return OwnIssuer(config, policy, home)
