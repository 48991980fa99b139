# Files that are whole or as before: our notes on ext4, and autoboot.txt on FAT.
# Part of rauc-tryboot, which sets the variables.
# shellcheck shell=sh disable=SC2154

# standard input beside a file; the name is one that FAT keeps in a single entry
prepare() { { cat >"${1%.txt}.new" && sync "${1%.txt}.new"; } 2>/dev/null; }

replace() { { mv -f "${1%.txt}.new" "$1" && sync "${1%/*}"; } 2>/dev/null; }

remove_prepared() { rm -f "${1%.txt}.new" 2>/dev/null; }

put() {
    prepare "$1" && replace "$1" && return 0
    remove_prepared "$1"
    return 1
}

remember() { mkdir -p "$state" 2>/dev/null && echo "$2" | put "$state/$1"; }

keep() { remember "$1" "$2" || fail "$state/$1 cannot be written; is the disk full?"; }

# a line without its end was not written by us
recall() {
    { read -r line <"$state/$1"; } 2>/dev/null || line=
    echo "$line"
}

recall_slot() {
    line=$(recall "$1")
    case $line in A | B | "A "* | "B "*) echo "${line%% *}" ;; esac
}

forget() {
    for file in "$@"; do
        rm -f "$state/$file" 2>/dev/null || fail "$state/$file cannot be removed"
    done
    [ ! -d "$state" ] || sync "$state"
}

# --- autoboot.txt ---------------------------------------------------------------------------------------

other() { [ "$1" = A ] && echo B || echo A; }

partition() { [ "$1" = A ] && echo "$partition_of_a" || echo "$partition_of_b"; }

text() {
    echo "[all]"
    echo "tryboot_a_b=1"
    echo "boot_partition=$(partition "$1")"
    echo "[tryboot]"
    echo "boot_partition=$(partition "$(other "$1")")"
}

# every byte as it would be written for this slot
names() { text "$1" | cmp -s - "$autoboot" 2>/dev/null; }

seal() { "$mount" -o remount,ro "$select" 2>/dev/null; }

# nothing that counts has changed when this fails
prepare_autoboot() {
    "$mountpoint" -q "$select" || fail "$select is not mounted"
    "$mount" -o remount,rw "$select" 2>/dev/null || fail "$select cannot be made writable; does the card still write?"
    text "$1" | prepare "$autoboot" && return
    remove_prepared "$autoboot"
    seal
    fail "${autoboot%.txt}.new cannot be written; is $select full, or does the card no longer write?"
}

replace_autoboot() {
    replace "$autoboot" && names "$1"
    replaced=$?
    seal
    [ $replaced -eq 0 ] || fail "$autoboot could not be replaced; the next boot tries again"
}

rewrite() {
    prepare_autoboot "$1"
    replace_autoboot "$1"
}
