"""Keys of `[board]` with kind = "sim"."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Where the simulated building listens.

    Args:
        socket: The Unix socket of `reed-gateway building`.
    """

    socket: Path
