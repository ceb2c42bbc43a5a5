#!/bin/bash
# Goal: the intake dies after the keeper has committed a recording and before the plaintext is unlinked, under its own
# name or under the private one that it is given just before (56-half-removed.sh). Then the
# plaintext that is left is recognised as this very recording: it is removed and not sealed twice; and if the recording,
# its account was shredded or its time was over in the meantime, it does not come back from that plaintext.
# Negative control: a new file of the same name and content is another recording, and is sealed.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq strace
strace -o "$vault/trace" true 2>"$vault/err" || skip "strace does not work here: $(head -n 1 "$vault/err")"

make_wav "$vault/a.wav" 70000

died() { ! alive "$intake_pid"; }

# leave_behind PATH [CALL]: commits a recording, and dies in this system call with its plaintext still there
leave_behind() {
	local call=${2:-renameat2}
	PREFIX=(strace -f -o "$vault/trace" -e "trace=$call" -e "inject=$call:signal=KILL:when=1")
	start_intake
	drop "$vault/a.wav" "$1"
	{
		wait_until $PATIENCE_S died
		wait "$intake_pid"
	} 2>"$vault/err" # bash reports killed jobs
	intake_pid='' PREFIX=()
	case $call in
	renameat2) [ -e "$spool/$1" ] ;;
	unlinkat) [ -n "$(find "$spool/${1%/*}" -name ".recseal-*-${1##*/}")" ] && [ ! -e "$spool/$1" ] ;;
	esac || fail "the intake did not die in $call before the plaintext was gone"
	list
	id=$(id_of "$1")
}

start_keeper
leave_behind twice/a.wav
start_intake
wait_sealed
stop_intake
list
holds 'length == 1 and .[0].state == "sealed"' || fail "sealed twice: $(cat "$vault/list.json")"
plays_as "$id" "$vault/a.wav" || fail "it does not play"

# The control: same name, same bytes, another file
start_intake
drop "$vault/a.wav" twice/a.wav
wait_sealed
stop_intake
list
holds 'length == 2 and all(.[]; .state == "sealed")' || fail "a new file of the same name is not sealed"

# gone_for_good STATE: what was left behind is removed, and makes no recording again
gone_for_good() {
	list
	jq --arg id "$id" '[.[] | select(.id != $id)]' "$vault/list.json" >"$vault/others.json"
	start_intake
	wait_sealed
	stop_intake
	expect 5 ctl play "$id" --reason test
	list
	holds ".[] | select(.id == \"$id\") | .state == \"$1\"" || fail "$id is not $1"
	jq --arg id "$id" '[.[] | select(.id != $id)]' "$vault/list.json" | diff "$vault/others.json" - >"$vault/diff" ||
		fail "what was $1 comes back from its plaintext: $(cat "$vault/diff")"
}

for call in renameat2 unlinkat; do
	leave_behind spoken/a.wav $call
	expect 0 ctl shred recording "$id" --yes --reason test
	gone_for_good destroyed
	leave_behind "closed-$call/a.wav" $call
	expect 0 ctl shred account "closed-$call" --yes --reason test
	gone_for_good destroyed
done

# Recordings that were sealed before keep their time.
printf '[class default]\nKeep=1s\n' >"$vault/recseal.conf"
stop_keeper
start_keeper --config "$vault/recseal.conf"
leave_behind expired/a.wav
has_expired() { list_holds ".[] | select(.id == \"$id\") | .state == \"expired\""; }
wait_until $PATIENCE_S has_expired
gone_for_good expired
stop_keeper
echo "PASS: plaintext that was left behind is recognised"
