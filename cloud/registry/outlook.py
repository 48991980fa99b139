"""What will go wrong in months if nobody holds a ceremony: nothing else needs a person so rarely."""

from datetime import timedelta

from cloud.registry.parts import parts

_SAFES_ARE_FAR = timedelta(days=90)
"""Time to fetch the root's key, beside the life of a certificate that is cut at the intermediate's end."""


def warnings() -> tuple[str, ...]:
    """Return what an operator has to do in the next months, each in a line; empty if nothing."""
    own = parts()
    if own.ca.issuer != "own":
        return ()
    soon = own.now() + timedelta(days=max(own.policy.gateway_days, own.policy.service_days)) + _SAFES_ARE_FAR
    below = [each for each in own.issuer.intermediates()[:1] if each.not_valid_after_utc < soon]
    above = [each for each in own.issuer.roots() if each.not_valid_after_utc < soon]
    return (
        *(
            f"the intermediate ends on {each.not_valid_after_utc:%Y-%m-%d}, and all certificates with it; "
            "bring the root's key and run: reed-cloud ca intermediate"
            for each in below
        ),
        *(
            f"the root {each.subject.rfc4514_string()} ends on {each.not_valid_after_utc:%Y-%m-%d}; "
            "run: reed-cloud ca root"
            for each in above
        ),
    )
