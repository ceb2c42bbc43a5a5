#!/bin/bash
# Goal: a spool on a filesystem that hangs, at whatever moment, keeps no other spool waiting, and takes no thread that
# another one needs; status and doctor say that it does not answer, and how old its figures are; when it answers
# again, everything in it is sealed.
# Negative control: while it hangs, the hanging spool itself is not sealed, and its figures grow old.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq fusermount3 pkg-config cc
[ -e /dev/fuse ] || skip "/dev/fuse is missing"
pkg-config --exists fuse3 || skip "libfuse3-dev is missing"
here=$(cd "$(dirname "$0")" && pwd -P)
real=$vault/real slow=$vault/slow hang=$vault/hang fs_pid=''
mkdir -p "$real/late" "$slow" "$spool/quick"
# shellcheck disable=SC2046
cc -D_GNU_SOURCE -o "$vault/hanging_fs" "$here/hanging_fs.c" $(pkg-config --cflags --libs fuse3) || fail "hanging_fs.c"

end_fs() {
	local status=$?
	rm -f "$hang"
	fusermount3 -uz "$slow" 2>/dev/null
	[ -n "$fs_pid" ] && kill "$fs_pid" 2>/dev/null
	(exit "$status") # cleanup() ends with the status that it finds
	cleanup
}
trap end_fs EXIT
"$vault/hanging_fs" "$real" "$hang" "$slow" 2>/dev/null &
fs_pid=$!
mounted() { mountpoint -q "$slow"; }
wait_until 10 mounted

make_wav "$vault/call.wav" 20000
# old FOLDER NAME: a recording that has rested for an hour
old() {
	cp "$vault/call.wav" "$1/.$2" && touch -d '1 hour ago' "$1/.$2" && mv "$1/.$2" "$1/$2"
}
empty() { [ -z "$(find "$1" -type f -name '*.wav' -print -quit)" ]; }
spool_says() { ctl --json status >"$vault/status.json" && jq -e --arg name "$1" ".spools[] | select(.name == \$name) | $2" "$vault/status.json" >/dev/null; }
# quick_is_quick N: so many recordings of the other spool are sealed within 10 s
quick_is_quick() {
	local i
	for i in $(seq "$1"); do cp "$vault/call.wav" "$spool/quick/$RANDOM-$i.wav"; done
	wait_until 10 empty "$spool/quick"
}

start_keeper
start_intake --spool slow="$slow"
old "$slow/late" first.wav
wait_until 30 empty "$real/late" # it is a spool like any other, as long as it answers
spool_says slow '.looked_s < 10' || fail "its figures are old already"

# In the middle of nothing.
: >"$hang"
quick_is_quick 50
wait_until 60 spool_says slow '.looked_s > 20'
spool_says default '.looked_s < 10' || fail "the figures of the other spool are old"
jq -e '.intake_connected and .intake_heard_s < 10' "$vault/status.json" >/dev/null || fail "the intake was not heard"
jq -e '.warnings | any(test("spool slow: its filesystem has not answered for"))' "$vault/status.json" >/dev/null ||
	fail "status gives no warning: $(jq -c .warnings "$vault/status.json")"
ctl doctor >"$vault/doctor" 2>&1
grep -q '^CHANGE  spool slow, filesystem: does not answer' "$vault/doctor" || fail "the doctor: $(cat "$vault/doctor")"
grep -q 'spool slow: the filesystem of .* does not answer' "$vault/intake.log" || fail "the journal says nothing"
quick_is_quick 50
rm "$hang"
wait_until 30 spool_says slow '.looked_s < 10'
grep -q 'spool slow: its filesystem answers again' "$vault/intake.log" || fail "the journal does not say that it answers"

# In the middle of sealing: looks, reads and removals hang, each with a recording in its hands.
for round in 1 2 3; do
	for i in $(seq 40); do old "$slow/late" "$round-$i.wav"; done
	sleep "0.$round"
	: >"$hang"
	quick_is_quick 50
	[ "$round" = 1 ] && old "$real/late" control.wav && sleep 2
	[ "$round" = 1 ] && empty "$real/late" && fail "the filesystem does not hang"
	rm "$hang"
	wait_until 60 empty "$real/late"
done
count=$(ctl --json list | jq '[.[] | select(.spool == "slow")] | length')
[ "$count" = 122 ] || fail "$count recordings of the slow spool are in the vault, not 122"

# It ends although a spool hangs: the process is gone when the filesystem lets go of its threads.
: >"$hang"
sleep 3
kill -TERM "$intake_pid"
stopping() { grep -q 'stopping although' "$vault/intake.log"; }
wait_until 30 stopping
rm "$hang"
status=0
wait "$intake_pid" || status=$?
[ $status -eq 0 ] || fail "recseald ended with status $status"
intake_pid=''
stop_keeper
echo "PASS: a spool that hangs holds up itself only, and that is said"
