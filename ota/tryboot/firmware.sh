# What the firmware says and keeps: which partition it started, whether on trial, the one-shot flag.
# Part of rauc-tryboot, which sets the variables.
# shellcheck shell=sh disable=SC2154

GET_FLAG=0x00030064
SET_FLAG=0x00038064

# 4 bytes, big endian
cell() {
    [ -r "$dt/$1" ] || fail "the firmware does not tell '$1' in $dt; update it: rpi-eeprom-update"
    name=$1
    # shellcheck disable=SC2046
    set -- $(od -An -v -tu1 "$dt/$name" 2>/dev/null)
    [ $# -eq 4 ] || fail "'$name' in $dt has $# bytes instead of 4"
    echo $(($1 << 24 | $2 << 16 | $3 << 8 | $4))
}

running() {
    number=$(cell partition) || exit 1
    case $number in
    "$partition_of_a") here=A ;;
    "$partition_of_b") here=B ;;
    *) fail "the firmware says that it started partition $number, which is no slot; update it: rpi-eeprom-update" ;;
    esac
    named=$(sed -n 's/.*rauc\.slot=\([^ ]*\).*/\1/p' "$cmdline" 2>/dev/null)
    [ "${named:-$here}" = "$here" ] || fail "slot $here was started with the command line of slot $named"
    echo "$here"
}

# tag, value; prints the value of the answer
mailbox() {
    # shellcheck disable=SC2046
    set -- $(timeout "$mailbox_wait_s" "$vcmailbox" "$1" 4 0 "$2" 2>/dev/null)
    case ${6-} in
    0x0000000[01]) echo "${6#0x0000000}" ;;
    *) return 1 ;;
    esac
}

armed() { mailbox $GET_FLAG 0; }

# 0 or 1; what is not read back has not happened (kernel 6.18.33 with old firmware answered and forgot)
arm() { mailbox $SET_FLAG "$1" >/dev/null && [ "$(armed)" = "$1" ]; }

disarm() { arm 0 || fail "the tryboot flag cannot be cleared: $vcmailbox is missing, or the firmware does not obey"; }
