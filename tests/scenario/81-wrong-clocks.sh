#!/bin/bash
# Goal: a machine that boots with its clock ahead, by 400 days or a hundred years, in 1970 or in 2000, destroys nothing by
# it, however often it is restarted, and says so; when the clock is right, the doubt goes by itself. What is sealed under
# the right clock has the right times, also after a recording was sealed under a wrong one, and the times of that one are
# put right as soon as the time is known. Only an officer confirms a clock.
# Negative control: the same clock, once it is confirmed, does expire the recording.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq
lie=$(find /usr/lib -name libfaketime.so.1 -print -quit 2>/dev/null)
[ -n "$lie" ] || skip "libfaketime is missing"

at() { PREFIX=(env "LD_PRELOAD=$lie" "FAKETIME=$1" FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1); }
right() { PREFIX=(); }
clock_is() { ctl --json status | jq -e --arg state "$1" '.clock.state == $state' >"$vault/out"; }
# sealed_now NAME: within a minute of now
sealed_now() {
	jq -e --arg name "$1" --argjson now "$(date +%s)" '.[] | select(.name == $name) | .sealed_at | fromdate |
		. > $now - 60 and . <= $now + 1' "$vault/list.json" >"$vault/out" ||
		fail "$1 is not sealed now: $(jq -c '.[] | [.name, .sealed_at, .expires_at]' "$vault/list.json"), now $(date -u)"
}
all_sealed() { list && holds "length == $1 and all(.[]; .state == \"sealed\")"; }

make_wav "$vault/a.wav" 5000
start_vault
drop "$vault/a.wav" acme/a.wav
wait_sealed
stop_vault

# Boots under clocks of all kinds, with restarts.
for clock in +400d +400d -400d +36000d '@1970-01-02 00:00:00' '@2000-01-01 00:00:00' '@2099-12-31 00:00:00'; do
	at "$clock"
	start_keeper
	sleep 2.5 # two looks at what is due
	all_sealed 1 || fail "under $clock: $(cat "$vault/list.json")"
	ctl doctor >"$vault/doctor"
	grep -q '^CHANGE *keeper, clock: the machine.s clock' "$vault/doctor" || fail "doctor under $clock: $(cat "$vault/doctor")"
	stop_keeper
done
grep -q 'To do: have the clock synchronised' "$vault/keeper.log" || fail "the journal says nothing"

# The keeper's user may do everything; an operator may not do this.
right
start_keeper
all_sealed 1 || fail "under the right clock: $(cat "$vault/list.json")"
clock_is close || clock_is synchronised || clock_is counting || fail "the clock is right: $(ctl --json status | jq .clock)"
start_intake
drop "$vault/a.wav" acme/b.wav
wait_sealed
list
sealed_now a.wav
sealed_now b.wav
expect 0 ctl clock confirm --reason 'date -u agrees with the tower clock'
list
sealed_now a.wav
sealed_now b.wav
stop_vault

# The negative control.
at +400d
start_keeper
expect 2 ctl clock confirm
expect 0 ctl clock confirm --reason 'a mistake, for once'
wait_until 20 list_holds 'all(.[]; .state == "expired")'
stop_keeper

# A vault that was made under such a clock: nobody knows better, but what comes later has its own time.
rm -rf "$state" "$spool"
start_keeper
start_intake
drop "$vault/a.wav" acme/under.wav
wait_sealed
stop_vault
right
start_vault
drop "$vault/a.wav" acme/after.wav
wait_sealed
list
sealed_now after.wav
expect 0 ctl clock confirm --reason 'date -u agrees with the tower clock'
list
sealed_now after.wav
sealed_now under.wav
all_sealed 2 || fail "after the confirmation: $(cat "$vault/list.json")"
expect 0 ctl verify --all
stop_vault
echo "PASS: nothing is destroyed by a clock that is not known to be right, and every time is right in the end"
