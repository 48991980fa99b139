"""The building's socket carries lines; this finds them in what arrives."""


class Lines:
    """Cuts a stream into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    @property
    def waiting_bytes(self) -> int:
        """Size of the line that has not ended yet."""
        return len(self._rest)
