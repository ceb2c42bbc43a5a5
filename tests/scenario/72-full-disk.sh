#!/bin/bash
# Goal: keys and objects on one filesystem (the default) that is full: of recordings, of somebody else's file, or out
# of inodes. Sealing stops in time and says so; the vault starts, lists, plays and shreds; a shred makes room, and
# sealing goes on by itself.
# Negative control: with the reserve taken away (no log, no room for one) the shred waits, says how much it needs, and is
# carried out once there is room; the keeper starts in between all the same.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need jq mkfs.ext4
[ "$(id -u)" -eq 0 ] || skip "not root: no small filesystems"

PATIENCE_S=60
head -c 192000 /dev/urandom >"$vault/big"
head -c 96000 /dev/urandom >"$vault/small"

unmount() {
	local status=$?
	umount -l "$state" 2>/dev/null
	(exit $status)
	cleanup
}
trap unmount EXIT

# disk KIND: a small filesystem for all of the vault
disk() {
	mkdir -p "$state"
	if [ "$1" = tmpfs ]; then
		mount -t tmpfs -o size=48m,nr_inodes=600 tmpfs "$state" 2>"$vault/err" || skip "tmpfs cannot be mounted: $(cat "$vault/err")"
	else
		rm -f "$vault/disk"
		truncate -s 48M "$vault/disk"
		"mkfs.$1" -q -m 0 -N 600 -F "$vault/disk"
		mount -o loop "$vault/disk" "$state" 2>"$vault/err" || skip "no loop device: $(cat "$vault/err")"
	fi
}

# files N: N recordings for each of two accounts, as far as the spool's disk goes
files() {
	local i
	mkdir -p "$spool"
	find "$spool" -mindepth 1 -delete
	mkdir "$spool/acme" "$spool/globex"
	for ((i = 0; i < $1; i++)); do
		cp "$vault/big" "$spool/acme/$i.raw"
		cp "$vault/small" "$spool/globex/$i.raw"
	done
}

status_holds() { ctl --json status | jq -e "$1" >/dev/null; }
one_of() { ctl --json list --account "$1" | jq -r '[.[] | select(.state == "sealed")][0].id'; }
waiting() { find "$spool" -name '*.raw' | wc -l; }

# starts_lists_plays_shreds: the keeper is started on the full disk, and does all that
starts_lists_plays_shreds() {
	local id
	start_keeper
	id=$(one_of globex)
	ctl play "$id" --reason test -o "$vault/out" >/dev/null || fail "$1: it does not play"
	cmp -s "$vault/out" "$vault/small" || fail "$1: it plays something else"
	rm "$vault/out"
	ctl shred account acme --yes --reason test >"$vault/shred" || fail "$1: no shred: $(cat "$vault/shred")"
	grep -q '^Destroyed' "$vault/shred" || fail "$1: $(cat "$vault/shred")"
	[ "$(ctl --json list --account globex | jq '[.[] | select(.state == "sealed")] | length')" -gt 0 ] || fail "$1: others were lost"
}

goes_on_alone() {
	wait_until "$PATIENCE_S" status_holds '.warnings == [] or (.warnings | map(select(test("sealing has stopped|erasures wait"))) == [])'
	start_intake
	local before
	before=$(waiting)
	fewer() { [ "$(waiting)" -lt "$before" ]; }
	[ "$before" -eq 0 ] || wait_until "$PATIENCE_S" fewer
	stop_vault
	umount "$state"
}

for kind in ext4 tmpfs; do
	# By recordings: sealing stops by itself, and leaves room.
	disk $kind
	files 0
	start_vault
	files 150
	stopped() { status_holds '.spools[0].last_error // "" | test("No space left")'; }
	wait_until "$PATIENCE_S" stopped
	[ "$(waiting)" -gt 50 ] || fail "$kind: the disk is not full"
	[ "$(df --output=avail -B1 "$state" | tail -n 1)" -gt 3000000 ] || fail "$kind: sealing left no room: $(df "$state")"
	status_holds '.last_error | test("sealing leaves|are free")' || fail "$kind: nobody is told why: $(ctl status)"
	stop_vault
	starts_lists_plays_shreds "$kind, recordings"
	goes_on_alone

	# By something else, to the last block, while the keeper runs and while it is shut.
	disk $kind
	files 5
	start_vault
	wait_until "$PATIENCE_S" accept_spool
	wait_until "$PATIENCE_S" status_holds '.recordings.sealed == 10'
	head -c 60M /dev/zero >"$state/filler" 2>/dev/null
	[ "$(df --output=avail -B1 "$state" | tail -n 1)" -lt 70000 ] || fail "$kind: the disk is not full"
	wait_until "$PATIENCE_S" status_holds 'any(.warnings[]; test("sealing has stopped"))'
	stop_vault
	cat /dev/zero >>"$state/filler" 2>/dev/null
	starts_lists_plays_shreds "$kind, something else"
	for i in $(seq 40); do
		ctl play "$(one_of globex)" --reason "again $i" -o "$vault/out" >/dev/null || fail "$kind: play $i on a full disk"
		rm "$vault/out"
	done
	rm "$state/filler"
	goes_on_alone

	# Out of inodes.
	disk $kind
	files 5
	start_vault
	wait_until "$PATIENCE_S" accept_spool
	wait_until "$PATIENCE_S" status_holds '.recordings.sealed == 10'
	mkdir "$state/many"
	i=0
	while : 2>/dev/null >"$state/many/$i"; do i=$((i + 1)); done
	wait_until "$PATIENCE_S" status_holds 'any(.warnings[]; test("out of inodes"))'
	files 3
	sleep 2
	[ "$(waiting)" -eq 6 ] || fail "$kind: sealed without inodes?"
	stop_vault
	starts_lists_plays_shreds "$kind, inodes"
	rm -r "$state/many"
	goes_on_alone
done

# The control: without the reserve.
disk ext4
files 5
start_vault
wait_until "$PATIENCE_S" accept_spool
wait_until "$PATIENCE_S" status_holds '.recordings.sealed == 10'
stop_vault
rm "$state/keeper/keeper.db-wal"
: >"$state/keeper/keeper.db-wal"
cat /dev/zero >"$state/filler" 2>/dev/null
start_keeper
ctl shred account acme --yes --reason test >"$vault/shred" 2>&1 && fail "it was shredded without any room"
grep -qE 'needs [0-9.]+ MiB|No space left' "$vault/shred" || fail "it does not say how much: $(cat "$vault/shred")"
stop_keeper
start_keeper
rm "$state/filler"
ctl shred account acme --yes --reason test >"$vault/shred" 2>&1 ||
	wait_until "$PATIENCE_S" status_holds '.recordings.destroyed == 5'
stop_keeper
umount "$state"
echo "PASS: full of recordings, full of something else, out of inodes; on ext4 and tmpfs"
