"""What people use instead of this gateway, installed for Debian 13: the first time this needs a network.

mqtt-io and Theengs Gateway come from PyPI into a venv each, built with Debian 13's own Python and compiler;
Node-RED comes from npm and runs on Debian 13's nodejs. Versions are those of the figures that we quote.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.system.harness.tree import CACHE, ready_tree

TREE = "tree-peers"
INSIDE = "/opt/peers"
VENVS = {
    "mqtt-io": ("mqtt-io==2.7.0", "gpiozero==2.0.1"),
    "theengs": ("TheengsGateway==1.8.0", "TheengsDecoder==2.5.0"),
}
NODE_RED = "node-red@4.1.15"

_BUILD = f"""
set -eu
tree=$1 out=$2 own=$(mktemp -d)
shift 2
mount -t tmpfs none "$own"
mkdir "$own/upper" "$own/work" "$own/root"
mount -t overlay -o "lowerdir=$tree,upperdir=$own/upper,workdir=$own/work" none "$own/root"
root=$own/root
mkdir -p "$root{INSIDE}" "$root/etc/ssl/certs"
mount --bind "$out" "$root{INSIDE}"
mount -t proc none "$root/proc"
mount --bind /dev "$root/dev"
cp -L /etc/resolv.conf "$root/etc/"
# whoever reads TLS here must be trusted there
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" || true
unset LD_LIBRARY_PATH PYTHONPATH VIRTUAL_ENV
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
chroot "$root" apt-get -q update
chroot "$root" apt-get -qy install --no-install-recommends python3-venv python3-dev g++ make cmake
while [ $# -gt 0 ]; do
    name=$1
    shift
    chroot "$root" python3 -m venv "{INSIDE}/$name"
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        chroot "$root" "{INSIDE}/$name/bin/python" -m pip install --quiet "$1"
        shift
    done
    [ $# -eq 0 ] || shift
done
"""


def installed(cache: Path = CACHE) -> Path:
    """Return the folder with all of them, made now if need be; it belongs at INSIDE.

    Raises:
        RuntimeError: It could not be made; the log that it names says why.
    """
    wanted = f"{VENVS}{NODE_RED}{_BUILD}{ready_tree(TREE).parent.name}"
    folder = cache / f"peers-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "peers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _make(folder)
            (folder / "ready").touch()
    return folder


def _make(folder: Path) -> None:
    words: list[str] = []
    for name, packages in VENVS.items():
        words += ([] if not words else ["--"]) + [name, *packages]
    command = ["unshare", "--mount", "sh", "-c", _BUILD, "build", str(ready_tree(TREE)), str(folder), *words]
    _logged(folder, command)
    (folder / "node-red").mkdir()
    npm = ["npm", "install", "--no-audit", "--no-fund", "--omit=dev", "--prefix", str(folder / "node-red")]
    _logged(folder, [*npm, NODE_RED])


def _logged(folder: Path, command: list[str]) -> None:
    log = folder / "build.log"
    if shutil.which(command[0]) is None:
        raise RuntimeError(f"{command[0]} is missing; install it with: apt install {command[0]}")
    with log.open("ab") as output:
        done = subprocess.run(command, stdout=output, stderr=output, check=False, env=dict(os.environ))
    if done.returncode:
        end = log.read_text(errors="replace").splitlines()[-15:]
        raise RuntimeError("\n".join([f"the peers could not be installed; see {log}:", *end]))
