"""What a power cut leaves of a folder: a model of a file system that owes nothing without fsync.

A file holds what it held at its last fsync, or nothing. A folder has the names that it had at its last
fsync; each change since then may have reached the disk or not, one by one, in any order. (A rename replaces a
name in one step, and what a symbolic link says comes with its name: so much even the worst journal gives.)
"""

import os
import random
import stat
from dataclasses import dataclass, field
from pathlib import Path

LINK, FILE, FOLDER = "link", "file", "folder"


@dataclass
class Node:
    """A file, a folder or a link. `now` and `safe` are its content as it is, and as it was synchronised."""

    kind: str
    now: bytes = b""
    safe: bytes | None = None
    names: dict[str, int] = field(default_factory=dict)
    safe_names: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """The disk at one moment: every node by its number; 0 is the folder itself."""

    nodes: dict[int, Node]

    def left(self, keeps_names: float, keeps_data: float, seed: int = 0) -> dict[str, bytes | None]:
        """Return what a power cut at this moment leaves: path to content.

        None stands for a folder, and a link's target behind "->".

        Args:
            keeps_names: Probability that a change of a name has reached the disk without fsync.
            keeps_data: Likewise for the content of a file.
            seed: Of the dice that decide on each.
        """
        found: dict[str, bytes | None] = {}
        dice = random.Random(seed)  # noqa: S311  # repeatable, not secret
        self._leave(0, "", (keeps_names, keeps_data, dice), found)
        return found

    def _leave(
        self, number: int, path: str, odds: tuple[float, float, random.Random], found: dict[str, bytes | None]
    ) -> None:
        keeps_names, keeps_data, dice = odds
        node = self.nodes[number]
        if node.kind == LINK:
            found[path] = b"->" + node.now
        elif node.kind == FILE:
            found[path] = node.now if dice.random() < keeps_data else (node.safe or b"")
        else:
            found[path] = None
            for name in sorted({*node.names, *node.safe_names}):
                names = node.names if dice.random() < keeps_names else node.safe_names
                if name in names:
                    self._leave(names[name], f"{path}/{name}".lstrip("/"), odds, found)


class Disk:
    """Follows a folder; `look` before each change, `synced` after each fsync."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nodes: dict[int, Node] = {}
        self._by_inode: dict[int, int] = {}
        self._look()
        for node in self._nodes.values():  # all that was there before is old, and safe
            node.safe, node.safe_names = node.now, dict(node.names)

    def picture(self) -> Picture:
        """Look at the folder as it is, and return a copy."""
        self._look()
        return Picture(
            {
                number: Node(node.kind, node.now, node.safe, dict(node.names), dict(node.safe_names))
                for number, node in self._nodes.items()
            }
        )

    def synced(self, file: int) -> None:
        """An fsync of this descriptor has returned."""
        self._look()
        number = self._by_inode.get(os.fstat(file).st_ino)
        if number is not None:
            node = self._nodes[number]
            node.safe, node.safe_names = node.now, dict(node.names)

    def _look(self) -> None:
        seen: dict[int, int] = {}
        self._visit(self._folder, seen)
        self._by_inode = seen  # an inode that is gone may come back as another file

    def _visit(self, path: Path, seen: dict[int, int]) -> int:
        status = path.lstat()
        number = self._by_inode.get(status.st_ino, len(self._nodes))
        seen[status.st_ino] = number
        if stat.S_ISDIR(status.st_mode):
            node = self._nodes.setdefault(number, Node(FOLDER))
            node.names = {child.name: self._visit(child, seen) for child in sorted(path.iterdir())}
        elif stat.S_ISLNK(status.st_mode):
            self._nodes.setdefault(number, Node(LINK)).now = str(path.readlink()).encode()
        else:
            self._nodes.setdefault(number, Node(FILE)).now = path.read_bytes()
        return number


def lay_down(found: dict[str, bytes | None], folder: Path) -> None:
    """Make the folder as a power cut left it."""
    for name, content in found.items():  # folders come before what is in them
        path = folder / name
        if content is None:
            path.mkdir(mode=0o700)
        elif content.startswith(b"->"):
            path.symlink_to(content[2:].decode())
        else:
            path.write_bytes(content)
            path.chmod(0o600)
