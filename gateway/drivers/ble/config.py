"""Keys of `[bluetooth]`."""

import re
from dataclasses import dataclass
from typing import Literal

from gateway.errors import ConfigError

_ADAPTER = re.compile("hci[0-9]{1,3}|[0-9A-F]{2}(:[0-9A-F]{2}){5}")
_SHORTEST_SILENCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Keys of `[bluetooth]`.

    Args:
        adapters: Adapters to listen with, each by its number ("hci0") or, where that changes from boot to
            boot, by its address.
        scan: "passive" listens only; "active" also asks each sender for more, at the cost of its battery.
            "auto" is passive where BlueZ offers it, else active.
        silence_s: Having heard no sender at all for this long, the adapter is taken for deaf and recovered.
    """

    adapters: tuple[str, ...] = ("hci0",)
    scan: Literal["auto", "passive", "active"] = "auto"
    silence_s: float = 120.0

    def __post_init__(self) -> None:
        allowed = 'name at least one adapter, as "hci0" or "DC:A6:32:01:02:03"'
        wrong = [name for name in self.adapters if not _ADAPTER.fullmatch(name)]
        problems = []
        if wrong:
            problems.append(("adapters", f"{wrong[0][:40]!a} is no adapter; {allowed}"))
        elif not self.adapters or len(set(self.adapters)) < len(self.adapters):
            problems.append(("adapters", f"empty, or one is named twice; {allowed}"))
        if self.silence_s < _SHORTEST_SILENCE_S:
            problems.append(("silence_s", f"must be at least {_SHORTEST_SILENCE_S:g}"))
        if problems:
            raise ConfigError(*problems)
