#!/bin/bash
# Goal: no key and no personal data is where it must not be: no names or audio in what the keeper stores and what both
# daemons log, while they run and afterwards; no root key but in root.slots and in the keeper's memory, and after a shred
# the old one nowhere at all; no core dumps; the intake touches neither keys nor objects by name; and files are closed
# to others, who are refused on the socket too.
# Negative control: each search finds what it searches for where it may be: in the spool, in what play writes, in
# root.slots, in the keeper's memory, in the trace of the intake.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq python3 pgrep

K=$state/keeper
ACCOUNT='Quastenflosser KG' NAME=brombeerkonferenz.wav MARKER=HIMBEERMARMELADE
spool=$vault/mirabellenspool
skipped=''
umask 0 # what is closed must be closed by itself
ulimit -S -c "$(ulimit -H -c)"

# In the clear, in base64 and in hexadecimal
for word in "$ACCOUNT" "$NAME" "$MARKER$MARKER" "$ACCOUNT/$NAME"; do
	printf '%s\n' "$word"
	printf '%s' "${word:0:${#word}-${#word}%3}" | base64 -w 0 && echo
	printf '%s' "$word" | od -An -v -tx1 | tr -d ' \n' && echo
done >"$vault/words"

# words_in PLACE...: prints what of them lies open in files or names of files there
words_in() {
	{
		find "$@"
		find "$@" -type f -exec cat {} +
	} | LC_ALL=C grep -aoiF -f "$vault/words" | sort -u
}

make_marked() {
	wav_header 160000
	yes "$MARKER" | tr -d '\n' | head -c 160000
}

closed() { [ "$(stat -c %a "$2")" = "$1" ] || fail "${2#"$vault/"} has mode $(stat -c %a "$2"), not $1"; }

make_marked >"$vault/marked.wav"
grep -qx "$MARKER$MARKER" <(words_in "$vault/marked.wav") || fail "the search finds no audio in the recording itself"
# As root another group tells an undumpable process from others: /proc/PID is then root's, group and all.
! is_root || ! setpriv --regid=1 --clear-groups true 2>"$vault/err" || PREFIX=(setpriv --regid=1 --clear-groups)
start_vault
"${PREFIX[@]}" sleep 1000 &
ordinary=$!
end_ordinary() {
	local status=$?
	kill "$ordinary"
	(exit $status)
	cleanup
}
trap end_ordinary EXIT
mkdir -p "$spool/$ACCOUNT"
words_in "$spool" >"$vault/found"
grep -qxF "$ACCOUNT" "$vault/found" || fail "the search finds no name in the spool itself"
drop "$vault/marked.wav" "$ACCOUNT/$NAME"
drop "$vault/marked.wav" "$NAME"
ln -s "$NAME" "$spool/$ACCOUNT/link-$NAME"
wait_sealed
wait_until $PATIENCE_S status_holds '.spool.refused == 1'
list
id=$(id_of "$ACCOUNT/$NAME")
plays_as "$id" "$vault/marked.wav" || fail "it does not play"
expect 4 ctl account show "not-$ACCOUNT"
ctl play "$id" --reason test | LC_ALL=C grep -aqF -f "$vault/words" || fail "the search finds no audio in what play writes"

# --- Names and audio ---
nothing_open() {
	[ "$1" != running ] || [ -s "$K/keeper.db-wal" ] || fail "the catalog keeps no log: what is written is not where it is searched"
	words_in "$state" "$vault"/{keeper,intake}.log >"$vault/found" && fail "$1, this lies open: $(cat "$vault/found")"
	grep -raF "$spool" "$state" >"$vault/found" && fail "$1, the spool's path lies open"
}
nothing_open running

# --- Core dumps, arguments, environment ---
owner() { stat -c '%u %g' "/proc/$1/environ"; }
for pid in "$keeper_pid" "$intake_pid" "$(pgrep -P "$intake_pid")"; do
	grep -qE '^Max core file size +0 +0 ' "/proc/$pid/limits" || fail "core dumps: $(grep core "/proc/$pid/limits")"
	[ "$(owner "$ordinary")" = '0 0' ] || [ "$(owner "$pid")" != "$(owner "$ordinary")" ] || fail "process $pid can be dumped and traced"
done
[ "$(owner "$ordinary")" != '0 0' ] || skipped+=', whether processes can be dumped'
[ "$(tr '\0' ' ' <"/proc/$keeper_pid/cmdline")" = "$BUILD/recseal-keeper --state $state " ] || fail "the keeper changed its arguments"
[ "$(tr '\0' ' ' <"/proc/$intake_pid/cmdline")" = "$BUILD/recseald --state $state --spool $spool " ] || fail "the intake changed its arguments"

# --- Keys ---
# holders KEYFILE PLACE...: prints those of the files, folders and processes (/proc/PID) that hold the key, in any writing
cat >"$vault/holders.py" <<-'END'
	import base64, os, re, sys
	key = open(sys.argv[1], "rb").read()
	assert len(key) == 32 and len(set(key)) > 8
	needles = [key, key.hex().encode(), key.hex().upper().encode(), base64.b64encode(key).rstrip(b"=")]
	holds = lambda data: any(n in data for n in needles)
	def memory(process):
	    with open(process + "/mem", "rb", 0) as mem:
	        for line in open(process + "/maps"):
	            start, end = (int(x, 16) for x in line.split()[0].split("-"))
	            for at in range(start, end, 1 << 20):
	                try:
	                    mem.seek(at)
	                    yield mem.read(min(end - at, (1 << 20) + 64))
	                except (OSError, ValueError, OverflowError):
	                    pass # not readable: guard pages and the like
	for place in sys.argv[2:]:
	    if place.startswith("/proc/"):
	        if any(holds(part) for part in memory(place)):
	            print(place)
	        continue
	    for folder, _, names in os.walk(place):
	        for path in (os.path.join(folder, name) for name in names):
	            if os.path.isfile(path) and holds(open(path, "rb").read()):
	                print(path)
END
holders() { python3 "$vault/holders.py" "$@"; }
root_key() { dd if="$K/root.slots" of="$2" bs=1 skip=$((24 + BLOCK_BYTES * $1)) count=32 status=none; }
processes=("/proc/$keeper_pid" "/proc/$intake_pid" "/proc/$(pgrep -P "$intake_pid")")
keeper=${processes[0]}
if ! is_root; then
	for each in "${processes[@]}"; do
		head -c 1 "$each/mem" >"$vault/out" 2>"$vault/err"
		says "$vault/err" 'Permission denied'
	done
	skipped+=', the memory of the daemons' processes=() keeper=''
fi
# only_with KEYFILE PLACE...: nobody else has it
only_with() {
	local key=$1
	shift
	holders "$key" "$state" "$vault/keeper.log" "$vault/intake.log" "${processes[@]}" | sort >"$vault/found"
	printf '%s\n' "$@" | sed '/^$/d' | sort | diff - "$vault/found" >"$vault/diff" || fail "${key##*/} is held by others than expected: $(cat "$vault/diff")"
}
root_key 0 "$vault/first root key"
only_with "$vault/first root key" "$K/root.slots" "$keeper"
expect 0 ctl shred recording "$id" --yes --reason test
root_key 1 "$vault/second root key"
only_with "$vault/first root key" ''
only_with "$vault/second root key" "$K/root.slots" "$keeper"
printf %s "$MARKER$MARKER" | head -c 32 >"$vault/audio"
only_with "$vault/audio" ''

# --- The intake opens neither keys nor objects: it is handed the one it fills, and keeps nothing of it ---
stop_intake
FILE_CALLS=open,openat,openat2,creat,link,linkat,unlink,unlinkat,rename,renameat,renameat2,truncate,mkdir,mkdirat
strace -o "$vault/trace" true 2>"$vault/err" && PREFIX=(strace -D -f -y -o "$vault/trace" -e "trace=$FILE_CALLS")
start_intake
drop "$vault/marked.wav" "$ACCOUNT/$NAME"
wait_sealed
if grep -q "openat2.*$NAME" "$vault/trace"; then # an ordinary user cannot look into an undumpable process that far
	grep -E "$state/(objects|keeper)|keeper\.db|root\.slots" "$vault/trace" >"$vault/found" && fail "the intake opens: $(cat "$vault/found")"
	grep -E 'O_CREAT|O_TMPFILE|O_TRUNC' "$vault/trace" >"$vault/found" && fail "the intake makes files: $(cat "$vault/found")"
	ls -l "/proc/$intake_pid/fd" >"$vault/fds"
	says "$vault/fds" "$spool"
	grep -F "$state" "$vault/fds" >"$vault/found" && fail "the intake keeps open: $(cat "$vault/found")"
else
	skipped+=', what the intake opens'
fi

# --- Closed to others ---
closed 700 "$K"
for each in "$K"/{lock,root.slots,keeper.db,keeper.db-wal}; do closed 600 "$each"; done
closed 750 "$state/objects"
for each in "$state/objects"/*/*.age; do closed 440 "$each"; done
[ -S "$state/run/control" ] || fail "no control socket of our own"
list
id=$(jq -r '[.[] | select(.state == "sealed")][0].id' "$vault/list.json")
chmod 711 "$vault"
stranger() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
if is_root && stranger "$BUILD/recsealctl" --version >"$vault/out" 2>&1; then
	for command in status "list --json" "show $id" "play $id --reason x" "verify --all" "account list" "shred recording $id --yes --reason x"; do
		# shellcheck disable=SC2086 # words are meant
		expect 3 stranger "$BUILD/recsealctl" --socket "$socket" $command
		[ ! -s "$vault/out" ] || fail "a stranger is told by '$command': $(cat "$vault/out")"
	done
	stranger cat "$(object_of "$id")" >"$vault/out" 2>"$vault/err" && fail "a stranger reads objects"
else
	skipped+=', what strangers are told'
fi
plays_as "$id" "$vault/marked.wav" || fail "it does not play"
nothing_open running
stop_vault
nothing_open stopped
echo "PASS: nothing lies open${skipped:+ (not seen here: ${skipped#, })}"
