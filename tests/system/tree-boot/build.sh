#!/bin/sh
# Makes a Debian 13 tree that boots, with everything that our packages depend on and neither of them.
# usage: build.sh FOLDER      as root; leaves FOLDER/tree
# needs: mmdebstrap debian-archive-keyring
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
rm -rf "$folder/tree"

# apt and dpkg in the tree behave as on any Debian: what is set here for its making goes at the end.
packages=$(grep -v '^#' "$here/packages.txt" | tr '\n' ' ')
mmdebstrap --mode=root --variant=important --include="$packages" \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='printf "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 gateway\n" >"$1/etc/hosts"' \
    --customize-hook='echo gateway >"$1/etc/hostname"' \
    --customize-hook='rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"' \
    --customize-hook='chroot "$1" systemctl -q mask getty.target console-getty.service' \
    trixie "$folder/tree"
rm -rf "$folder/tree/var/lib/apt/lists" "$folder/tree/var/cache/apt/archives"
: >"$folder/tree/etc/machine-id"
