"""`reed-cloud gateway`: which gateways there are, and who of them may connect."""

import argparse
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from cloud.cli.access import actor, add_options, opened, show_json
from cloud.cli.table import distance, table, when
from cloud.errors import BrokerError, UnknownError
from cloud.home import Home

if TYPE_CHECKING:
    from cloud.registry.models import Certificate, Gateway

_DEFAULT_SITE = "default"
_STATES = ("expected", "enrolled", "denied", "retired")

_DECISIONS: Mapping[str, tuple[str, str, str]] = {
    "grant": (
        "let a denied one in again",
        "Take the denial back: the same certificate works again, nobody has to visit the gateway.",
        "may connect again",
    ),
    "deny": (
        "end its connection and let it in no more; `grant` takes it back",
        "End its connection within seconds. It goes on protecting its building and keeps its messages.",
        "is denied: its connection is ended and it is not let in again",
    ),
    "retire": (
        "for good: lost, stolen, or its key is known to somebody",
        "Revoke all its certificates for good: it is lost or stolen. To come back it needs a new token.",
        "is retired: every certificate of it is revoked for good",
    ),
    "replace-hardware": (
        "let another TPM take its name",
        "Forget which TPM belongs to it, because its hardware was exchanged; it needs a new token.",
        "may enrol with another TPM",
    ),
}
"""Help, description, and what is true afterwards."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "gateway",
        help="list, expect, grant, deny or retire gateways",
        description="The registry of gateways.",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True, dest="verb")
    listed = verbs.add_parser("list", help="all of them", description="List gateways.")
    listed.add_argument("--site", metavar="NAME", help="only those of this site")
    listed.add_argument("--state", choices=_STATES, help="only those in this state")
    add_options(listed)
    shown = verbs.add_parser("show", help="one of them", description="Show a gateway and its certificates.")
    shown.add_argument("gateway", metavar="GATEWAY")
    add_options(shown)
    _add_expect(verbs)
    for verb, (summary, description, _) in _DECISIONS.items():
        decision = verbs.add_parser(verb, help=summary, description=description)
        decision.add_argument("gateway", metavar="GATEWAY")
        decision.add_argument("--reason", required=True, metavar="WHY", help="for the audit trail")
        add_options(decision)


def _add_expect(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    expected = verbs.add_parser(
        "expect",
        help="make a new one known; then: token create",
        description="Make a gateway known before it enrols. Said again, nothing changes.",
    )
    expected.add_argument("gateway", metavar="GATEWAY", help="its id: a to z, 0 to 9 and -")
    expected.add_argument("--site", metavar="NAME", help='its building (a new one: "default")')
    expected.add_argument(
        "--attestation",
        choices=("none", "required"),
        help="whether it has to prove that its key lies in a TPM (default: as cloud.toml says)",
    )
    add_options(expected)


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    with opened(args) as (home, _):
        match args.verb:
            case "list":
                return _list(args)
            case "show":
                return _show(args)
            case "expect":
                return _expect(args)
            case verb:
                return _decide(args, verb, home)


def _list(args: argparse.Namespace) -> int:
    from cloud.registry import services  # noqa: PLC0415  # can be imported only now

    gateways = services.gateways(site=args.site, state=args.state)
    if args.json:
        show_json([_plain(gateway) for gateway in gateways])
        return 0
    rows = [
        [gateway.id, gateway.site.name, gateway.state, when(gateway.changed_at), gateway.reason or "-"]
        for gateway in gateways
    ]
    print(table(["GATEWAY", "SITE", "STATE", "SINCE", "REASON"], rows))
    return 0


def _show(args: argparse.Namespace) -> int:
    from cloud.registry import services  # noqa: PLC0415  # can be imported only now
    from cloud.registry.parts import parts  # noqa: PLC0415

    gateway, now = services.find(args.gateway), parts().now()
    certificates = services.certificates(args.gateway)
    if args.json:
        show_json(_plain(gateway) | {"certificates": [_plain_certificate(each) for each in certificates]})
        return 0
    print(f"{gateway.id}: {gateway.state} since {when(gateway.changed_at)} by {gateway.changed_by}")
    if gateway.reason:
        print(f"reason: {gateway.reason}")
    tpm = f"bound to TPM {gateway.ek_fingerprint[:16]}…" if gateway.ek_fingerprint else "no TPM bound"
    print(f"site: {gateway.site.name}; attestation: {gateway.attestation}; {tpm}")
    if certificates:
        print()
        rows = [
            [each.serial, when(each.not_before), when(each.not_after), _standing(each, now)]
            for each in certificates
        ]
        print(table(["CERTIFICATE", "FROM", "UNTIL", "STATE"], rows))
    return 0


def _expect(args: argparse.Namespace) -> int:
    from cloud.registry import services  # noqa: PLC0415  # can be imported only now

    site = args.site or _site_of(args.gateway)
    gateway = services.expect(args.gateway, site=site, attestation=args.attestation, actor=actor())
    if args.json:
        show_json(_plain(gateway))
    else:
        print(f"{gateway.id} is {gateway.state}; next: reed-cloud token create {gateway.id}")
    return 0


def _site_of(gateway_id: str) -> str:
    """Return where a gateway is known to be, or the default for a new one."""
    from cloud.registry import services  # noqa: PLC0415  # can be imported only now

    try:
        return str(services.find(gateway_id).site.name)
    except UnknownError:
        return _DEFAULT_SITE


def _decide(args: argparse.Namespace, verb: str, home: Home) -> int:
    from cloud.registry import services  # noqa: PLC0415  # can be imported only now
    from cloud.run.nudge import nudge  # noqa: PLC0415

    decide: Callable[..., Gateway] = getattr(services, verb.replace("-", "_"))
    try:
        gateway = decide(args.gateway, actor=actor(), reason=args.reason)
    except BrokerError as error:
        later = "goes on trying" if nudge(home) else "does it when it starts"
        raise BrokerError(f"{error}; `reed-cloud run` {later}") from None
    if args.json:
        show_json(_plain(gateway))
    else:
        waits = verb == "grant" and gateway.state == "expected"
        print(f"{gateway.id} {'may enrol; it never has' if waits else _DECISIONS[verb][2]}")
    return 0


def _standing(certificate: "Certificate", now: datetime) -> str:
    if certificate.revoked_at is not None:
        return f"revoked {when(certificate.revoked_at)} ({certificate.revoked_reason})"
    return "ended" if certificate.not_after <= now else f"ends {distance(certificate.not_after, now)}"


def _plain(gateway: "Gateway") -> dict[str, object]:
    return {
        "id": gateway.id,
        "site": gateway.site.name,
        "state": gateway.state,
        "attestation": gateway.attestation,
        "ek_fingerprint": gateway.ek_fingerprint,
        "created_at": gateway.created_at.isoformat(),
        "changed_at": gateway.changed_at.isoformat(),
        "changed_by": gateway.changed_by,
        "reason": gateway.reason,
    }


def _plain_certificate(certificate: "Certificate") -> dict[str, object]:
    return {
        "serial": certificate.serial,
        "fingerprint": certificate.fingerprint,
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "revoked_at": certificate.revoked_at.isoformat() if certificate.revoked_at else None,
        "revoked_reason": certificate.revoked_reason,
    }
