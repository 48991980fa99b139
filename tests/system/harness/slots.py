"""A booted Debian 13 with RAUC, our back end and two slots, whose firmware is two files."""

import json
from pathlib import Path
from typing import Any

from tests.fakes.pi_card import text
from tests.system.harness.boot import Booted
from tests.system.harness.machine import SOURCE

COMPATIBLE = "reed-test"
BUNDLES = "/var/tmp/bundles"
_RIG = "/srv/rig"
_PARTITIONS = ("02", "03", "05", "06")
_SETTINGS = f"""\
REED_DT={_RIG}/dt
REED_CMDLINE={_RIG}/cmdline
REED_VCMAILBOX={_RIG}/vcmailbox
"""
_VCMAILBOX = f"""\
#!/bin/sh
[ "$1" != 0x00038064 ] || echo "$4" >{_RIG}/flag
echo "0x0000001c 0x80000000 $1 0x00000004 0x80000004 0x0000000$(cat {_RIG}/flag) 0x00000000"
"""
_AUTHORITY = """\
set -eu
cd "$1"
request() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@"; }
make() { # name, extensions, authority
    request -keyout "$1.key" -subj "/CN=$1" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA "$3.pem" -CAkey "$3.key" -days 30 -out "$1.pem" -extfile "$2"
}
printf 'keyUsage=critical,digitalSignature\\nextendedKeyUsage=critical,codeSigning\\n' >codesign.ext
printf 'keyUsage=critical,digitalSignature\\nextendedKeyUsage=clientAuth\\n' >client.ext
for ca in root stranger; do
    request -x509 -keyout $ca.key -out $ca.pem -days 30 -subj "/CN=$ca" \\
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
done
make signer codesign.ext root
make client client.ext root
make thief codesign.ext stranger
"""
_DRIVER = """\
import asyncio, dataclasses, json, pathlib, sys
from gateway.errors import UpdateError
from gateway.update.apply.rauc import Rauc
verb, *words = sys.argv[1:]
rauc = Rauc()
told = []
try:
    if verb == "install":
        told = asyncio.run(rauc.install(pathlib.Path(words[0]), told.append)) or told
    else:
        told = asyncio.run(getattr(rauc, verb)(*map(pathlib.Path, words)))
    print(json.dumps({"ok": dataclasses.asdict(told) if dataclasses.is_dataclass(told) else told}))
except UpdateError as error:
    print(json.dumps({"code": error.code, "detail": str(error), "passing": error.passing}))
"""


class TwoSlots:
    """Slot A runs; RAUC's service starts when it is asked.

    Args:
        machine: Booted, with Debian's rauc and rauc-service.
        repository: This checkout.
    """

    def __init__(self, machine: Booted, repository: Path) -> None:
        self.machine = machine
        ota = repository / "ota"
        self._settings = (ota / "system.conf").read_text()
        machine.run(
            "mkdir", "-p", f"{_RIG}/dt", f"{_RIG}/slots", BUNDLES, "/usr/lib/reed", "/data", "/boot/select"
        )
        machine.run("cp", "-r", f"{SOURCE}/ota/rauc-tryboot", f"{SOURCE}/ota/tryboot", "/usr/lib/reed/")
        machine.run("cp", f"{SOURCE}/ota/trial-guard", "/usr/lib/reed/")
        machine.write(
            "/etc/dbus-1/system.d/de.pengutronix.rauc.conf", (ota / "de.pengutronix.rauc.conf").read_text()
        )
        machine.write("/etc/default/reed-boot", _SETTINGS)
        machine.write(f"{_RIG}/vcmailbox", _VCMAILBOX, mode=0o755)
        machine.write(f"{_RIG}/driver.py", _DRIVER)
        for unit in ("reed-boot-repair.service", "reed-trial-guard.service", "reed-trial-guard.timer"):
            machine.write(f"/etc/systemd/system/{unit}", (repository / "systemd" / unit).read_text())
        machine.run("mount", "-t", "tmpfs", "-o", "ro,size=1m,mode=755", "select", "/boot/select")
        self._make_authority()
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "reload", "dbus")

    def begin(self, slot: str) -> None:
        """Be a new machine, on which this slot runs and is committed, and the slots hold nothing."""
        self.answer_slowly(0)
        self.starts(slot, trial=False)
        self.machine.run("rm", "-rf", "/data/rauc", "/data/reed-boot")
        self.select(text(slot))
        for name in _PARTITIONS:
            self.machine.run("truncate", "-s", "0", f"{_RIG}/slots/{name}")
        self.trust("root")

    def select(self, said: str) -> None:
        """Let the first partition say this."""
        self.machine.run("mount", "-o", "remount,rw", "/boot/select")
        self.machine.write("/boot/select/autoboot.txt", said)
        self.machine.run("mount", "-o", "remount,ro", "/boot/select")

    def starts(self, slot: str, *, trial: bool) -> None:
        """Let the firmware say that it has started this slot; RAUC asks again at its next start."""
        number = {"A": 2, "B": 3}[slot]
        for name, value in (("partition", number), ("tryboot", int(trial))):
            self.machine.path(f"{_RIG}/dt/{name}").write_bytes(value.to_bytes(4, "big"))
        self.machine.write(f"{_RIG}/cmdline", f"rauc.slot={slot}\n")
        self.machine.write(f"{_RIG}/flag", "0\n")
        self.machine.run("systemctl", "stop", "rauc.service", check=False)

    def trust(self, authority: str, version: str = "1.0.0", formats: str = "-plain") -> None:
        """Set RAUC up with the image's own settings; slots are files here."""
        said = self._settings.replace("@COMPATIBLE@", COMPATIBLE).replace("@VERSION@", version)
        said = said.replace("bundle-formats=-plain", f"bundle-formats={formats}")
        for name in _PARTITIONS:
            device = f"{_RIG}/slots/{name}"
            said = said.replace(f"/dev/disk/by-partuuid/72656564-{name}", device)
            self.machine.run("truncate", "-s", "4M", device)
        self.machine.write("/etc/rauc/system.conf", said)
        self.machine.run("cp", f"{BUNDLES}/{authority}.pem", "/etc/rauc/keyring.pem")
        self.machine.run("systemctl", "stop", "rauc.service", check=False)

    def bundle(
        self,
        name: str,
        *,
        version: str = "1.1.0",
        compatible: str = COMPATIBLE,
        form: str = "verity",
        signer: str = "signer",
    ) -> str:
        """Make a signed bundle of small images; return its path in the machine."""
        folder, path = f"{BUNDLES}/{name}", f"{BUNDLES}/{name}.raucb"
        manifest = f"[update]\ncompatible={compatible}\nversion={version}\n[bundle]\nformat={form}\n"
        manifest += "[image.rootfs]\nfilename=root.ext4\n[image.boot]\nfilename=boot.vfat\n"
        self.machine.write(f"{folder}/manifest.raucm", manifest)
        for image in ("root.ext4", "boot.vfat"):
            self.machine.run("dd", "if=/dev/urandom", f"of={folder}/{image}", "bs=1024", "count=64")
        self.machine.run("rm", "-f", path)
        keys = [f"--cert={BUNDLES}/{signer}.pem", f"--key={BUNDLES}/{signer}.key"]
        self.machine.run("rauc", "bundle", *keys, folder, path)
        return path

    def client(self, verb: str, *words: str) -> dict[str, Any]:
        """Ask RAUC through gateway.update.apply.rauc, as root, with Debian's Python and dbus-fast."""
        environment = {"PYTHONPATH": SOURCE, "PYTHONDONTWRITEBYTECODE": "1"}
        done = self.machine.run("python3", f"{_RIG}/driver.py", verb, *words, check=False, **environment)
        assert done.stdout, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def allow_plain(self) -> None:
        """Take bundles that need no device mapper, too, and give RAUC loop devices: it can install then."""
        self.trust("root", formats="+plain")
        if self.machine.path("/dev/loop-control").exists():
            return
        self.machine.run("mknod", "/dev/loop-control", "c", "10", "237")
        for number in range(32):
            self.machine.run("mknod", f"/dev/loop{number}", "b", "7", str(number))

    def answer_slowly(self, seconds: int) -> None:
        """Let the firmware take its time from now on."""
        self.machine.write(
            f"{_RIG}/vcmailbox", _VCMAILBOX.replace("\n[", f"\nsleep {seconds}\n["), mode=0o755
        )

    def content(self, partition: str, length: int) -> bytes:
        """Return the beginning of what a slot holds."""
        with self.machine.path(f"{_RIG}/slots/{partition}").open("rb") as device:
            return device.read(length)

    def tryboot(self, *words: str) -> str:
        """Call the back end; return what it prints."""
        return self.machine.ask("/usr/lib/reed/rauc-tryboot", *words)

    def _make_authority(self) -> None:
        self.machine.write(f"{_RIG}/authority.sh", _AUTHORITY)
        self.machine.run("sh", f"{_RIG}/authority.sh", BUNDLES)
