#!/bin/bash
# Goal: with Wipe=yes nothing of a sealed recording, and of its sidecar, is left on the spool's disk, where the filesystem
# writes in place; where it does not, the journal and the doctor say so, and everything is sealed all the same.
# Negative control: without Wipe=, the marks of the recordings are on the disk after they were removed.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq mkfs.ext4
is_root || skip "only root can mount a small filesystem"

unmount() {
	local status=$?
	umount -l "$vault"/disk-* 2>/dev/null
	(exit $status)
	cleanup
}
trap unmount EXIT
# disk NAME SIZE MKFS...: a filesystem in a file, mounted
disk() {
	local name=$1 size=$2
	shift 2
	mkdir -p "$vault/disk-$name"
	truncate -s "$size" "$vault/$name.img"
	"$@" "$vault/$name.img" >"$vault/mkfs" 2>&1 && mount -o loop "$vault/$name.img" "$vault/disk-$name" 2>>"$vault/mkfs"
}
disk plain 64M mkfs.ext4 -q || skip "a filesystem in a file cannot be mounted here: $(cat "$vault/mkfs")"
disk wiped 64M mkfs.ext4 -q || fail "$(cat "$vault/mkfs")"
names=(plain wiped)
if command -v mkfs.xfs >/dev/null && disk xfs 320M mkfs.xfs -q; then names+=(xfs); fi
if command -v mkfs.btrfs >/dev/null && disk btrfs 128M mkfs.btrfs -q; then names+=(btrfs); fi

# 1,000 marks in a recording, and 10 in its sidecar: no recording is like another
COUNT=40
mark=recseal-mark-$RANDOM$RANDOM
recording() {
	make_wav "$2.part" 100 && for i in $(seq 1000); do printf '%s-%s-%04d-%04d' "$mark" "$1" "$3" "$i"; done >>"$2.part"
	for i in $(seq 10); do printf '{"room":"%s-%s-sidecar-%d"}\n' "$mark" "$1" "$i"; done >"${2%.wav}.json"
	mv "$2.part" "$2"
}
{
	printf '[profile call]\nFiles=*.wav\nSidecar={stem}.json\n'
	for name in "${names[@]}"; do
		printf '[spool %s]\nPath=%s\nProfile=call\nSettle=0\nFirstStart=take\n' "$name" "$vault/disk-$name"
		[ "$name" = plain ] || printf 'Wipe=yes\n'
	done
} >"$vault/recseal.conf"
for name in "${names[@]}"; do
	for i in $(seq $COUNT); do recording "$name" "$vault/disk-$name/$i.wav" "$i"; done
done
# A copy of a file of xfs shares its blocks with it: to overwrite one writes elsewhere.
shared=0
if [ -d "$vault/disk-xfs" ] && cp --reflink=always "$vault/disk-xfs/1.wav" "$vault/disk-xfs/.kept" 2>/dev/null; then shared=1; fi
sync

start_keeper
start_configured_intake
all_gone() { [ -z "$(find "$vault"/disk-* -name '*.wav' -print -quit)" ]; }
wait_until $PATIENCE_S all_gone
# The intake tells of its spools every few seconds.
all_told() {
	ctl doctor --json >"$vault/doctor.json"
	[ "$(jq '[.[] | select(.what == "plaintext") | .where] | unique | length' "$vault/doctor.json")" = ${#names[@]} ]
}
wait_until $PATIENCE_S all_told
stop_intake
for name in "${names[@]}"; do
	[ -z "$(find "$vault/disk-$name" -type f ! -name .kept)" ] || fail "$name: files are left: $(ls -A "$vault/disk-$name")"
	umount "$vault/disk-$name"
done
# left NAME: how many marks of its recordings are on the disk
left() { grep -aoE "$mark-$1-([0-9]{4}-[0-9]{4}|sidecar)" "$vault/$1.img" | wc -l; }

[ "$(left plain)" -gt $((COUNT * 500)) ] || fail "the control found only $(left plain) marks: it proves nothing"
[ "$(left wiped)" -eq 0 ] || fail "$(left wiped) marks of wiped recordings are on the disk"
if [ -d "$vault/disk-xfs" ]; then
	# What is shared is the copy's, and stays.
	[ "$(left xfs)" -le $((shared * 1000)) ] || fail "$(left xfs) marks are on xfs, $shared recordings share their blocks"
	[ $shared -eq 0 ] || says "$vault/intake.log" 'spool xfs: 1 recording was removed without being overwritten'
fi
check() { jq -e --arg w "spool $1" "any(.[]; .where == \$w and .what == \"plaintext\" and ($2))" "$vault/doctor.json" >/dev/null || fail "the doctor on $1: $(jq -c '.[] | select(.what == "plaintext")' "$vault/doctor.json")"; }
check plain '.fine and (.finding | test("stay in free blocks.*Wipe=yes"))'
check wiped '.fine and (.finding | test("overwritten before"))'
[ ! -d "$vault/disk-btrfs" ] || check btrfs '(.fine | not) and (.finding | test("does not help"))'
[ ! -d "$vault/disk-btrfs" ] || says "$vault/intake.log" 'spool btrfs: .* without being overwritten .*does not write in place'
list
holds "length == $((COUNT * ${#names[@]}))" || fail "not everything was sealed"
stop_keeper
echo "PASS: what is wiped is gone from the disk (${names[*]}), and where that cannot be, it is said"
