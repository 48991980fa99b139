# What differs between images of one system: keys, version, overlays. Sourced by build; the system is in $work/root.
root=$work/root
[ -z "$keyring" ] || install -D -m 644 "$keyring" "$root/etc/rauc/keyring.pem"
[ -z "$tuf_root" ] || install -D -m 644 "$tuf_root" "$root/usr/share/reed/tuf/root.json"

# what a person, the applier and RAUC take for the version of what runs
printf 'IMAGE_ID=reed\nIMAGE_VERSION=%s\n' "$version" >>"$root/usr/lib/os-release"
printf 'compatible=%s\nversion=%s\n' "$compatible" "$version" >"$root/etc/reed-image"
sed -i "s/@COMPATIBLE@/$compatible/; s/@VERSION@/$version/" "$root/etc/rauc/system.conf"

for overlay in $overlays; do
    [ ! -d "$overlay/files" ] || cp -r --no-preserve=ownership "$overlay/files/." "$root/"
    [ -x "$overlay/customise" ] || continue
    cp "$overlay/customise" "$root/customise"
    mount -t proc proc "$root/proc"
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8 /customise
    umount "$root/proc"
    rm "$root/customise"
done

# the clock starts no earlier than this
touch "$root/usr/lib/clock-epoch"
rm -rf "$root"/boot/config-* "$root"/boot/System.map-*
