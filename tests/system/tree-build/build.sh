#!/bin/sh
# Makes a Debian 13 tree in which the packages are built and checked.
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
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    trixie "$folder/tree"
rm -rf "$folder/tree/var/lib/apt/lists" "$folder/tree/var/cache/apt/archives"
