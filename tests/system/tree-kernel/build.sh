#!/bin/sh
# Unpacks Debian 13's kernel and a few programs; nothing is configured, and nothing boots of it by itself.
# usage: build.sh FOLDER      as root; leaves FOLDER/tree
# needs: mmdebstrap debian-archive-keyring
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
rm -rf "$folder/tree"
packages=$(grep -v '^#' "$here/packages.txt" | tr '\n' ' ')
mmdebstrap --mode=root --variant=extract --include="$packages" --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' trixie "$folder/tree"
rm -rf "$folder/tree/var/lib/apt/lists" "$folder/tree/var/cache/apt/archives"
