#!/bin/bash
# Goal: on an unwell machine (a keeper that is away or does not answer, reads and syncs that fail, no descriptors left, a
# file that no disk has room for) the plaintext stays, the operator is told once and not in a flood, nothing else
# suffers, and all goes on by itself when the machine is well again.
# Negative control: each fault is seen to hold something up before it is taken away.
# shellcheck source-path=SCRIPTDIR source=lib-unwell.sh
. "$(dirname "$0")/lib-unwell.sh"
need jq strace prlimit pgrep

# A keeper that is away, and one that does not answer
start_vault
drop_some 3
all_sealed
quiet_again
stop_keeper
drop_some 5
wait_until $PATIENCE_S told 'cannot be reached'
sleep 3
told_once 'cannot be reached'
start_keeper
all_sealed
told_once 'is there again'
kill -STOP "$keeper_pid"
drop_some 20
sleep 2
all_there() { [ "$(find "$spool" -name '*.wav' | wc -l)" -eq 20 ]; }
all_there || fail "something was removed while the keeper was stopped"
kill -CONT "$keeper_pid"
all_sealed
stop_intake

# Reading a recording, and syncing its object, fail: some of many. Only root may look into a running intake.
for call in $(is_root && echo pread64) fsync; do
	quiet_again
	inject=(strace -f -qq -o "$vault/trace" -e "trace=$call" -e "inject=$call:error=EIO:when=2")
	if [ "$call" = pread64 ]; then # before, the loader would meet it
		start_intake
		"${inject[@]}" -p "$intake_pid" &
		tracer=$!
		traced() { grep -q "^TracerPid:.*[1-9]" "/proc/$intake_pid/status"; }
		wait_until $PATIENCE_S traced
		drop_some 12
	else
		drop_some 12
		PREFIX=("${inject[@]}")
		start_intake
		PREFIX=()
		tracer=''
	fi
	# In each thread, the second: the first pread64 takes the key, the first fsync is of the recording
	wait_until $PATIENCE_S told "(reading the recording|syncing the sealed object): Input/output error"
	all_sealed
	told_once 'sealing failed'
	if [ -n "$tracer" ]; then
		kill "$tracer"
		wait "$tracer"
		stop_intake
	else
		kill -TERM "$(pgrep -P "$intake_pid")"
		wait "$intake_pid"
		intake_pid=''
	fi
done

# Few descriptors from the start; none left later
quiet_again
drop_some 40
PREFIX=(prlimit --nofile=64:64)
start_intake
PREFIX=()
all_sealed
told_once 'open files are allowed'
stop_intake
start_intake
quiet_again
prlimit --pid "$intake_pid" --nofile=8: || fail "no limit can be set"
drop_some 30
wait_until $PATIENCE_S told 'Too many open files|cannot be opened|cannot be reached'
all_there() { [ "$(find "$spool" -name '*.wav' | wc -l)" -eq 30 ]; }
sleep 3
all_there || fail "sealed without descriptors: the limit does not hold anything up"
[ "$(wc -l <"$vault/intake.log")" -lt 12 ] || fail "a flood: $(cat "$vault/intake.log")"
prlimit --pid "$intake_pid" --nofile=1024:
all_sealed

# A sparse file that no disk has room for: reported, left, and nobody else is held up. The intake must not
# have reported anything yet: the next report of one kind of fault waits for its minute.
stop_intake
start_intake
quiet_again
mkdir -p "$spool/bomb"
if truncate -s 15T "$spool/bomb/.bomb" 2>/dev/null; then
	mv "$spool/bomb/.bomb" "$spool/bomb/bomb.wav"
	wait_until $PATIENCE_S told 'No space left'
	drop_some 5
	others_sealed() { [ -z "$(find "$spool/acme" -name '*.wav')" ]; }
	wait_until $PATIENCE_S others_sealed
	[ -e "$spool/bomb/bomb.wav" ] || fail "the bomb is gone"
	# Turned down at once, not when it had filled the disk up
	grep -q 'writing the sealed object' "$vault/intake.log" && fail "the disk was filled up"
	told_once 'No space left'
	rm "$spool/bomb/bomb.wav"
	all_accounted_for
fi
stop_vault
echo "PASS: $number recordings on an unwell machine, each sealed once"
