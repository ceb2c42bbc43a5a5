#!/bin/bash
# Goal: with objects that are read-only, full or out of inodes, and with a spool that is full or read-only, the plaintext
# stays, the operator is told once and not in a flood, and all goes on by itself when there is room again. Watermarks
# are reported when they are crossed, and only then. Nothing of it makes the spool unwritable.
# Negative control: each fault is seen to hold something up before it is taken away.
# shellcheck source-path=SCRIPTDIR source=lib-unwell.sh
. "$(dirname "$0")/lib-unwell.sh"
need jq
is_root || skip "not root: no small filesystems"

unmount() {
	local status=$?
	umount -l "$state/objects" "$spool" 2>/dev/null
	(exit $status)
	cleanup
}
trap unmount EXIT
mkdir -p "$state/objects" "$spool"
mount -t tmpfs -o size=4m tmpfs "$state/objects" 2>"$vault/err" || skip "tmpfs cannot be mounted here: $(cat "$vault/err")"
mount -t tmpfs -o size=2m tmpfs "$spool" || fail "only one tmpfs can be mounted"
mkdir "$spool/acme"
chmod 2775 "$spool/acme"
printf '[spool main]\nPath=%s\nLowSpace=20%%\n[keeper]\nLowSpace=20%%\n' "$spool" >"$vault/recseal.conf"
start_keeper --config "$vault/recseal.conf"
start_configured_intake

# fault WHAT, then well: 30 recordings in it, reported at most once (what comes again within a minute is not reported
# again), all sealed after it
fault() {
	quiet_again
	drop_some 30
	wait_until $PATIENCE_S status_holds ".spools[0].last_error // \"\" | test(\"$1\")"
	sleep 2
	told_at_most_once 'sealing failed'
	[ "$(find "$spool" -name '*.wav' | wc -l)" -ge 20 ] || fail "$1: that held nothing up"
	all_accounted_for
}
well() {
	all_sealed
	told_at_most_once 'sealing failed'
	told_at_most_once 'works again'
	wait_until $PATIENCE_S status_holds '.warnings == []'
}

# Read-only objects
drop_some 3
all_sealed
mount -o remount,ro "$state/objects" || fail "no read-only remount"
fault 'Read-only file system'
told_once 'sealing failed'
mount -o remount,rw "$state/objects"
well

# No inodes
mount -o remount,nr_inodes=$(($(df --output=iused "$state/objects" | tail -n 1) + 1)) "$state/objects"
fault 'No space left'
keeper_told() { [ "$(grep -acE "$1" "$vault/keeper.log")" -eq "$2" ]; }
wait_until $PATIENCE_S keeper_told 'space for sealed objects is low' 1
mount -o remount,nr_inodes=100000 "$state/objects"
well
wait_until $PATIENCE_S keeper_told 'space for sealed objects again' 1

# A full object disk, by somebody else's file; the watermark is crossed once and back once
head -c 3900000 /dev/zero >"$state/objects/.filler" 2>/dev/null
fault 'No space left'
wait_until $PATIENCE_S keeper_told 'space for sealed objects is low' 2
wait_until $PATIENCE_S status_holds 'any(.warnings[]; test("object directory has"))'
rm "$state/objects/.filler"
well
wait_until $PATIENCE_S keeper_told 'space for sealed objects again' 2

# A full spool: what is in it is sealed and removed all the same; its own watermark
quiet_again
kill -STOP "$intake_pid"
drop_some 5
mkdir "$spool/.full"
head -c 3000000 /dev/zero >"$spool/.full/filler" 2>/dev/null
[ "$(df --output=avail "$spool" | tail -n 1)" -eq 0 ] || fail "the spool is not full"
kill -CONT "$intake_pid"
acme_is_empty() { [ -z "$(find "$spool/acme" -type f)" ]; }
wait_until $PATIENCE_S acme_is_empty
all_accounted_for
wait_until $PATIENCE_S told 'main: its filesystem is nearly full'
wait_until $PATIENCE_S status_holds '.spools[0].low_space and .spools[0].free_percent < 20 and any(.warnings[]; test("spool main: its filesystem"))'
rm -r "$spool/.full"
wait_until $PATIENCE_S told 'main: its filesystem has space again'
wait_until $PATIENCE_S status_holds '(.spools[0].low_space | not) and .warnings == []'
told_once 'nearly full'

# A spool that becomes read-only: sealed once, removed when it can be
quiet_again
kill -STOP "$intake_pid"
drop_some 5
mount -o remount,ro "$spool" || fail "no read-only remount"
kill -CONT "$intake_pid"
wait_until $PATIENCE_S status_holds '.spools[0].last_error // "" | test("removing.*Read-only file system")'
wait_until $PATIENCE_S list_holds "length == $number"
told_at_most_once 'sealing failed'
mount -o remount,rw "$spool"
all_sealed

# The objects' watermark was looked at often since
keeper_told 'space for sealed objects' 4 || fail "the watermark is reported again and again"

# Nothing of it made the spool unwritable, or left anything there.
[ "$(stat -c %a "$spool/acme")" = 2775 ] || fail "the mode of the bridge's folder is $(stat -c %a "$spool/acme")"
[ -z "$(find "$spool" ! -type d)" ] || fail "left in the spool: $(find "$spool" ! -type d)"
expect 0 ctl verify --all
stop_vault
echo "PASS: $number recordings on an unwell machine, each sealed once"
