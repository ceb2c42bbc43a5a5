#!/bin/bash
# Goal: two files are never one. On a spool over two volumes that number their inodes alike, and with calls of equal
# length that end in the same moment, every recording is sealed, byte for byte. A neighbour who writes to a volume of her
# own only, with a decoy of the same numbers and a private name that tells her victim's ctime, removes nothing. What was
# sealed is recognised by its content after chmod, touch and rename, and its removal is logged; written to since, with the
# same size and mtime, it is a second recording. What cannot be removed is not sealed over and over again.
# Negative control: the volumes do repeat inodes, sizes and times.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq python3 strace
strace -o "$vault/trace" true 2>"$vault/err" || skip "strace does not work here: $(head -n 1 "$vault/err")"

# --- The file itself, between sealing and removal ---

make_wav "$vault/a.wav" 70000
died() { ! alive "$intake_pid"; }

# leave_behind PATH: commits a recording, and dies with its plaintext still there
leave_behind() {
	PREFIX=(strace -f -o "$vault/trace" -e trace=renameat2 -e inject=renameat2:signal=KILL:when=1)
	start_intake
	drop "$vault/a.wav" "$1"
	{
		wait_until $PATIENCE_S died
		wait "$intake_pid"
	} 2>"$vault/err" # bash tells of killed jobs
	intake_pid='' PREFIX=()
	[ -e "$spool/$1" ] || fail "the intake did not die before the plaintext was gone"
}

start_keeper
leave_behind acme/touched.wav
list
first=$(id_of acme/touched.wav)
chmod 600 "$spool/acme/touched.wav"
touch -d 2001-02-03 "$spool/acme/touched.wav"
mv "$spool/acme/touched.wav" "$spool/acme/moved.wav"
start_intake
wait_sealed
stop_intake
list
holds 'length == 1' || fail "sealed twice: $(cat "$vault/list.json")"
says "$vault/intake.log" "sealed before as recording $first"

# Whose folder it lies in is whose it is.
leave_behind acme/given.wav
list
given=$(id_of acme/given.wav)
mkdir -p "$spool/other"
mv "$spool/acme/given.wav" "$spool/other/given.wav"
start_intake
wait_sealed
stop_intake
list
holds 'length == 3' || fail "not sealed for its account"
plays_as "$(id_of other/given.wav)" "$vault/a.wav" || fail "the one that was given away does not play"
plays_as "$given" "$vault/a.wav" || fail "the first one does not play"

# Written to since: the numbers that a user can see are what they were.
leave_behind acme/written.wav
list
written=$(id_of acme/written.wav)
cp "$vault/a.wav" "$vault/b.wav"
put_byte "$vault/b.wav" 66000 $(($(byte_at "$vault/b.wav" 66000) ^ 255))
touch -r "$spool/acme/written.wav" "$vault/then"
dd if="$vault/b.wav" of="$spool/acme/written.wav" conv=notrunc status=none
touch -r "$vault/then" "$spool/acme/written.wav"
start_intake
wait_sealed
stop_intake
list
holds 'length == 5' || fail "what was written since is not sealed"
plays_as "$written" "$vault/a.wav" || fail "the first one does not play"
second=$(jq -r --arg id "$written" '.[] | select(.path == "acme/written.wav" and .id != $id) | .id' "$vault/list.json")
plays_as "$second" "$vault/b.wav" || fail "the second one does not play"
stop_keeper
echo "recognised by content, sealed again where in doubt"

# --- A folder that nobody may remove from ---

# As in an installation: an intake that is not root, and gets into the folders by its group.
if is_root && command -v setpriv >/dev/null; then
	rm -rf "$state" "$spool"
	mkdir -p "$state" "$spool"
	chmod 755 "$vault"
	chown 4001 "$state"
	chown 4002:4100 "$spool"
	chmod 2775 "$spool"
	# shellcheck disable=SC2054 # commas of setpriv
	PREFIX=(setpriv --reuid 4001 --regid 4001 --groups 4100 --inh-caps=+lease --ambient-caps=+lease
		--bounding-set=-all,+lease)
	"${PREFIX[@]}" test -x "$BUILD/recseald" || skip "the programs in $BUILD are not for everybody"
	start_keeper
	start_intake
	noise "$vault/large" 5000000
	chmod 644 "$vault/large"
	setpriv --reuid 4002 --regid 4100 --clear-groups sh -c "umask 022; mkdir '$spool/room'; cp '$vault/large' '$spool/room/a'"
	is_warned() { status_holds '[.warnings[]?] | tostring | contains("removing the sealed recording")'; }
	wait_until $PATIENCE_S is_warned
	# It is sealed; it is not sealed over and over again while it cannot be removed.
	sleep 10
	written=$(awk '$1 == "wchar:" { print $2 }' "/proc/$intake_pid/io")
	[ "$written" -lt 12000000 ] || fail "$written bytes were written for 5000000"
	chmod -R g+w "$spool"
	wait_sealed
	list
	holds 'length == 1' || fail "sealed twice after chmod: $(cat "$vault/list.json")"
	plays_as "$(id_of room/a)" "$vault/large" || fail "it does not play"
	stop_vault
	PREFIX=()
	rm -rf "$state" "$spool"
	mkdir -p "$spool"
	echo "recognised after chmod, $written bytes written"
fi

# --- Volumes that repeat their numbers ---

is_root || { echo "PASS: what was left behind is known by its content (without root: no volumes)"; exit 0; }
mounted=()
unmount_all() {
	local i
	for ((i = ${#mounted[@]} - 1; i >= 0; i--)); do umount -l "${mounted[i]}" 2>/dev/null; done
}
trap 'unmount_all; cleanup' EXIT
mount_on() {
	mkdir -p "${*: -1}"
	mount "$@" 2>"$vault/err" || skip "cannot mount: $(head -n 1 "$vault/err")"
	mounted+=("${*: -1}")
}

# twins A B N: N calls each, of equal length, that end together; copies in $vault/twins
twins() {
	python3 - "$1" "$2" "$3" "$vault/twins" <<'PY'
import os, sys
a, b, n, copies = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
calls = []
for i in range(n):
    for side in (a, b):
        name = 'call%02d.raw' % i
        words = ('%s %02d ' % (os.path.basename(side), i)).encode() * 2000
        os.makedirs(os.path.join(copies, os.path.basename(side)), exist_ok=True)
        open(os.path.join(copies, os.path.basename(side), name), 'wb').write(words)
        calls.append((os.open(os.path.join(side, name), os.O_CREAT | os.O_WRONLY, 0o644), words))
for fd, words in calls:
    os.write(fd, words)
    os.close(fd)
PY
}

# numbers FOLDER: the inodes and sizes in it
numbers() { (cd "$1" && stat -c '%n %i %s' -- *.raw | sort); }

# all_there N: so many recordings of the twins, each with its own bytes
all_there() {
	local id path n=0
	list
	while read -r id path; do
		plays_as "$id" "$vault/twins/$path" || fail "$path plays differently"
		n=$((n + 1))
	done < <(jq -r --arg kind "$2" '.[] | select(.account | startswith($kind)) | .id + " " + .path' "$vault/list.json")
	[ "$n" -eq "$1" ] || fail "$n of $1 are sealed, $(find "$spool" -name '*.raw' | wc -l) are left"
}

start_keeper
for kind in tmpfs ext4; do
	[ $kind = ext4 ] && ! command -v mkfs.ext4 >/dev/null && continue
	for side in a b; do
		if [ $kind = tmpfs ]; then
			mount_on -t tmpfs none "$spool/$kind-$side"
		else
			truncate -s 48M "$vault/$side.img"
			mkfs.ext4 -q -F "$vault/$side.img" >/dev/null 2>&1 || fail "mkfs.ext4"
			mount_on -o loop "$vault/$side.img" "$spool/$kind-$side"
		fi
	done
	twins "$spool/$kind-a" "$spool/$kind-b" 40
	diff <(numbers "$spool/$kind-a") <(numbers "$spool/$kind-b") >/dev/null || fail "$kind: the control: no twins"
	start_intake
	no_twins() { [ -z "$(find "$spool" -name '*.raw' -print -quit)" ]; }
	wait_until $PATIENCE_S no_twins
	stop_intake
	all_there 80 $kind
	echo "$kind: 80 of 80, byte for byte"
done

# --- A volume that comes back, as after a reboot, under another device number ---

# tells_uuid FOLDER: since Linux 6.9 (FS_IOC_GETFSUUID); before, XFS is known by its device number only
tells_uuid() {
	python3 -c 'import fcntl, os, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x80111500, bytes(17))' "$1" \
		2>/dev/null
}

for kind in ext4 xfs; do
	command -v mkfs.$kind >/dev/null || continue
	truncate -s 400M "$vault/back.img"
	mkfs.$kind -q "$vault/back.img" >/dev/null 2>&1 || fail "mkfs.$kind"
	mount_on -o loop "$vault/back.img" "$spool/back-$kind"
	[ $kind = ext4 ] || tells_uuid "$spool/back-$kind" || continue
	before=$(stat -c %d "$spool/back-$kind")
	leave_behind "back-$kind/call.wav"
	umount "$spool/back-$kind" || fail "cannot unmount"
	truncate -s 1M "$vault/other.img"
	other=$(losetup -f --show "$vault/other.img") || fail "losetup"
	mount_on -o loop "$vault/back.img" "$spool/back-$kind"
	losetup -d "$other"
	[ "$(stat -c %d "$spool/back-$kind")" != "$before" ] || fail "the control: the device number is the same"
	list
	count=$(jq length "$vault/list.json")
	start_intake
	call_is_gone() { [ ! -e "$spool/back-$kind/call.wav" ]; }
	wait_until $PATIENCE_S call_is_gone
	stop_intake
	list
	holds "length == $count" || fail "$kind: sealed twice under another device number"
	says "$vault/intake.log" "sealed before as recording $(id_of "back-$kind/call.wav")"
	umount "$spool/back-$kind"
	rm "$vault/back.img"
	echo "$kind: recognised under another device number"
done

# --- A decoy ---

mount_on -t tmpfs none "$vault/victim"
mount_on -t tmpfs none "$spool/neighbour"
printf 'the only copy of a call' >"$vault/victim/call.raw"
printf 'not a call at all......' >"$vault/decoy"
ctime=$(python3 -c 'import os, sys; print("%016x" % os.stat(sys.argv[1]).st_ctime_ns)' "$vault/victim/call.raw")
decoy="$spool/neighbour/.recseal-0123456789abcdef-$ctime-call.raw"
cp "$vault/decoy" "$decoy"
touch -r "$vault/victim/call.raw" "$decoy"
[ "$(stat -c '%i %s %Y' "$decoy")" = "$(stat -c '%i %s %Y' "$vault/victim/call.raw")" ] || fail "the control: no decoy"
start_intake
decoy_is_sealed() { [ ! -e "$decoy" ]; }
wait_until $PATIENCE_S decoy_is_sealed
mount_on --bind "$vault/victim" "$spool/victim"
stop_intake
start_intake
victim_is_sealed() { [ ! -e "$spool/victim/call.raw" ]; }
wait_until $PATIENCE_S victim_is_sealed
list
plays_as "$(id_of victim/call.raw)" <(printf 'the only copy of a call') || fail "the victim's call is lost"
plays_as "$(id_of neighbour/call.raw)" "$vault/decoy" || fail "the decoy is not sealed"
stop_vault
echo "PASS: two files are never one"
