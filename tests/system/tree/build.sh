#!/bin/sh
# Makes a Debian 13 tree with everything that the tests run in it: TPM, brokers, EST, the gateway's own needs.
# usage: build.sh FOLDER      as root; leaves FOLDER/tree
# needs: mmdebstrap debian-archive-keyring
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
rm -rf "$folder/tree"

packages=$(grep -v '^#' "$here/packages.txt" | tr '\n' ' ')
mmdebstrap --mode=root --variant=apt --include="$packages" \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --setup-hook='mkdir -p "$1/usr/sbin"; printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"; chmod +x "$1/usr/sbin/policy-rc.d"' \
    --customize-hook='printf "127.0.0.1 localhost\n::1 localhost\n" >"$1/etc/hosts"' \
    --customize-hook='chroot "$1" python3 -m compileall -q /usr/lib/python3/dist-packages || true' \
    trixie "$folder/tree"
rm -rf "$folder/tree/var/lib/apt/lists" "$folder/tree/var/cache/apt/archives"
