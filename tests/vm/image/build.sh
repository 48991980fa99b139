#!/bin/sh
# Makes the disk of the virtual Raspberry Pi: Debian 13 with its own kernel and everything the rig needs.
# usage: build.sh FOLDER [OWNER]      as root; leaves disk.img, vmlinuz, initrd.img and the ssh key id_ed25519 there
# needs: mmdebstrap e2fsprogs openssh-client debian-archive-keyring; PIP: how to call pip
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
tree=$folder/tree
bumble=bumble==0.0.236

rm -rf "$tree" "$folder/id_ed25519" "$folder/id_ed25519.pub"
ssh-keygen -q -t ed25519 -N '' -C rig -f "$folder/id_ed25519"

packages=$(grep -v '^#' "$here/packages.txt" | tr '\n' ' ')
mmdebstrap --mode=root --variant=minbase --include="$packages" \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --extract-hook='install -D -m 644 '"$here"'/initramfs.conf "$1/etc/initramfs-tools/conf.d/rig.conf"' \
    --extract-hook='install -D -m 644 '"$here"'/initramfs.modules "$1/etc/initramfs-tools/modules"' \
    --customize-hook='mkdir -p "$1/root/image" && cp '"$here"'/* "$1/root/image/"' \
    --customize-hook='chroot "$1" sh /root/image/customise.sh' \
    --customize-hook='rm -r "$1/root/image"' \
    trixie "$tree"

${PIP:-python3 -m pip} install --quiet --disable-pip-version-check --no-deps --no-compile --target "$tree/opt/bumble" "$bumble"
install -D -m 600 "$folder/id_ed25519.pub" "$tree/root/.ssh/authorized_keys"
chmod 700 "$tree/root/.ssh"

cp "$(ls "$tree"/boot/vmlinuz-* | tail -n 1)" "$folder/vmlinuz"
cp "$(ls "$tree"/boot/initrd.img-* | tail -n 1)" "$folder/initrd.img"
rm -rf "$tree"/boot/* "$tree"/var/lib/apt/lists/*
rm -f "$folder/disk.img"
mkfs.ext4 -q -L pi -d "$tree" "$folder/disk.img" 3G
rm -rf "$tree"
[ $# -lt 2 ] || chown -R "$2" "$folder"
