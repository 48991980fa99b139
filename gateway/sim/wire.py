"""What goes over the building's socket: JSON objects, one on each line.

A client asks, each request is answered in order; after `attach` or `observe` it also gets what happens.

    -> {"do": "attach"}                            the gateway: contacts and adverts from now on
    <- {"type": "hello", "rails": {…}, "contacts": {…}, "outputs": {…}, "ratios": {…}}
    -> {"do": "set", "line": "main-close", "level": true}        no answer unless it is refused
    -> {"do": "leak", "pipe": "kitchen"}           a poke, see hands.py
    <- {"type": "done"}  or  {"type": "refused", "problem": "…"}
"""

from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from gateway.sim.happening import Happening
from gateway.sim.panel import Rail

MOST_BYTES = 65536
"""A longer request is refused and the client dropped."""


class _Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    pass


class Attach(_Request, frozen=True, tag="attach"):
    """Be the gateway's board: hello, then contacts and adverts."""


class Observe(_Request, frozen=True, tag="observe"):
    """See everything that happens: hello, then all of it."""


class SetOutput(_Request, frozen=True, tag="set"):
    """Drive an output line."""

    line: str
    level: bool


class Look(_Request, frozen=True, tag="look"):
    """Ask for the state of the building."""


class _Answer(Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class Hello(_Answer, frozen=True, tag="hello"):
    """All lines as they are now; `contacts` are true when closed, `ratios` are parts of the supply."""

    rails: dict[str, Rail]
    contacts: dict[str, bool]
    outputs: dict[str, bool]
    ratios: dict[str, float]


class Done(_Answer, frozen=True, tag="done"):
    """It was done."""


class Refused(_Answer, frozen=True, tag="refused"):
    """It was not done."""

    problem: str


class Seen(_Answer, frozen=True, tag="seen"):
    """The state of the building, see look.py."""

    # Any: msgspec cannot read a recursive type like Json.
    state: dict[str, Any]


Answer: TypeAlias = Hello | Done | Refused | Seen | Happening

encode = Encoder().encode
answers: Decoder[Answer] = Decoder(Answer)
