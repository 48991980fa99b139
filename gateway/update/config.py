"""Keys of `[update]`: where updates come from, which kinds are taken, and when they may disturb."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.domain.update.order import Window
from gateway.domain.update.words import Kind
from gateway.errors import ConfigError

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Updates of the system, the application and the configuration. What is signed is what counts.

    Args:
        url: Folder with `metadata/` and `targets/`, "https://…"; "" takes only what is brought by hand.
        hawkbit_url: An Eclipse hawkBit server that gives orders, "https://…"; "" for none.
        hawkbit_tenant: Our tenant at that server.
        poll_s: Metadata are refreshed, and hawkBit is asked, this often.
        window: Part of each day, local time, in which an update may disturb: "02:00-04:00"; "" at any time.
            What an order says comes first.
        health_timeout_s: After an update all must be as before within this time, or the former one returns.
        deadline_s: One update may take this long, waiting included, unless its order says otherwise.
        allow: The kinds that are taken: "os", "app", "config".
    """

    url: str = ""
    hawkbit_url: str = ""
    hawkbit_tenant: str = "DEFAULT"
    poll_s: float = 900.0
    window: str = ""
    health_timeout_s: float = 300.0
    deadline_s: float = 7 * 86_400.0
    allow: tuple[str, ...] = ("os", "app", "config")

    def __post_init__(self) -> None:
        ranges: tuple[tuple[str, float, float, float], ...] = (
            ("poll_s", self.poll_s, 60, 86_400),
            ("health_timeout_s", self.health_timeout_s, 30, 3600),
            ("deadline_s", self.deadline_s, 3600, 60 * 86_400),
        )
        problems = [
            (key, f"{value:g} is out of range; give {low:g} to {high:g}")
            for key, value, low, high in ranges
            if not low <= value <= high
        ]
        urls = (("url", self.url), ("hawkbit_url", self.hawkbit_url))
        problems += [(key, problem) for key, url in urls if (problem := _wrong_with(url))]
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", self.hawkbit_tenant):
            problems.append(("hawkbit_tenant", f"{self.hawkbit_tenant[:40]!a} is no name of a tenant"))
        if self.window and not _WINDOW.fullmatch(self.window):
            problems.append(("window", f'{self.window[:20]!a} is no part of a day; give "02:00-04:00" or ""'))
        unknown = sorted(set(self.allow) - set(Kind))
        if unknown:
            problems.append(("allow", f"{unknown[0][:20]!a} is no kind; choose from {', '.join(Kind)}"))
        if problems:
            raise ConfigError(*problems)

    @property
    def parsed_window(self) -> Window | None:
        """The window in minutes of the day; None: at any time."""
        found = _WINDOW.fullmatch(self.window)
        if found is None:
            return None
        from_hour, from_min, until_hour, until_min = map(int, found.groups())
        return Window(from_hour * 60 + from_min, until_hour * 60 + until_min)

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds that are taken."""
        return frozenset(Kind(kind) for kind in self.allow)


def _wrong_with(url: str) -> str:
    """Return what is wrong with an address; "" if nothing is, or there is none."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        has_host = False
        parts = urlsplit("")
    plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc
    if parts.scheme == "https" and has_host and plain and not parts.query and not parts.fragment:
        return ""
    return "is no address of an HTTPS server; give https://HOST/FOLDER, without a password in it"
