"""`reed-cloud token`: the right to enrol one gateway, once."""

import argparse
import sys

from cloud.cli.access import actor, add_options, opened, show_json
from cloud.cli.table import duration, seconds
from cloud.errors import SetupError


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "token", help="make a token for enrolment", description="Tokens with which gateways enrol."
    )
    verbs = parser.add_subparsers(metavar="create", required=True, dest="verb")
    create = verbs.add_parser(
        "create",
        help="print a new token",
        description="Print a token with which this gateway can enrol once. It is shown now and never again; "
        "an older one that was not used is void.",
    )
    create.add_argument("gateway", metavar="GATEWAY", help="its id, known by `gateway expect`")
    create.add_argument(
        "--for", dest="for_s", type=seconds, metavar="TIME", help="how long it may be used, e.g. 24h, 7d"
    )
    create.add_argument("--qr", action="store_true", help="draw it as a QR code, too, for a phone's camera")
    add_options(create)


def run(args: argparse.Namespace) -> int:
    """Make the token and print it."""
    draw = _qr if args.qr else None
    if draw is not None:
        _check_qr()
    with opened(args) as (_, config):
        from cloud.registry import services  # noqa: PLC0415  # can be imported only now

        valid_for_s = config.enrolment.token_valid_s if args.for_s is None else int(args.for_s)
        token = services.new_token(args.gateway, valid_for_s=valid_for_s, actor=actor())
    if args.json:
        show_json(
            {"gateway": args.gateway, "token": token, "valid_for_s": valid_for_s, "url": config.public.url}
        )
        return 0
    print(token, flush=True)
    if draw is not None:
        draw(token)
    if sys.stdout.isatty():
        print(f"\nGood for {duration(valid_for_s)}, once. On the gateway:")
        print(f"  sudo reed-gateway enrol --url {config.public.url} --token {token}")
    return 0


def _check_qr() -> None:
    try:
        import segno  # noqa: F401, PLC0415  # most never need it
    except ImportError:
        raise SetupError("--qr needs the Python package segno; install it with: pip install segno") from None


def _qr(token: str) -> None:
    import segno  # noqa: PLC0415  # most never need it

    segno.make(token, error="m", micro=False).terminal(compact=True)
