#!/bin/bash
# Goal: what could not be sealed for an account lies in quarantine, seen in status; an officer gives it to its account, where
# it plays, opens with stock age, and is destroyed with the account; what is nobody's is shredded by itself.
# Negative control: a recording left in quarantine outlives the account's shred.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

start_vault
for each in ours lost stays nobodys; do make_wav "$vault/$each.wav" 90000; done
drop "$vault/ours.wav" acme/ours.wav
for each in lost stays nobodys; do drop "$vault/$each.wav" "$each.wav"; done
wait_sealed
wait_until $PATIENCE_S status_holds '.recordings.quarantined == 3 and .recordings.sealed == 1'
expect 0 ctl status
says "$vault/out" '3 quarantined'
list --state quarantined
lost=$(id_of lost.wav) stays=$(id_of stays.wav) nobodys=$(id_of nobodys.wav)
expect 0 ctl show "$lost"
says "$vault/out" 'quarantined +the spool.s profile names no account'

# What is refused changes nothing.
expect 2 ctl quarantine assign "$lost" --reason why
expect 2 ctl quarantine assign "$lost" --account acme
expect 2 ctl quarantine assign --account acme --reason why
expect 4 ctl quarantine assign "$lost" --account nowhere --reason why
expect 2 ctl quarantine
says "$vault/err" 'quarantine assign'
status_holds '.recordings.quarantined == 3 and .epoch == 1' || fail "a refusal changed something"

expect 0 ctl quarantine assign "$lost" --account acme --reason 'ticket 4711'
says "$vault/out" "$lost belongs to account acme now"
expect 3 ctl quarantine assign "$lost" --account acme --reason again
status_holds '.recordings.quarantined == 2 and .recordings.sealed == 2 and .epoch == 2' || fail "it is not counted as the account's"
list --account acme
holds "any(.[]; .id == \"$lost\" and .state == \"sealed\" and .account == \"acme\" and (has(\"quarantine_reason\") | not))" ||
	fail "it is not the account's"
plays_as "$lost" "$vault/lost.wav" || fail "it does not play"
list
if command -v age >/dev/null; then
	PATH=$BUILD:$PATH age -d -j recseal "$(object_of "$lost")" 2>"$vault/err" | cmp - "$vault/lost.wav" ||
		fail "stock age does not open it: $(cat "$vault/err")"
fi
stop_keeper
start_keeper
wait_until $PATIENCE_S intake_ready
plays_as "$lost" "$vault/lost.wav" || fail "it does not play after a start"
expect 0 ctl verify --all

# With the account it goes; what stayed in quarantine does not.
expect 0 ctl shred account acme --yes --reason 'request 1'
expect 5 ctl play "$lost" --reason why
expect 5 ctl quarantine assign "$stays" --account acme --reason why
plays_as "$stays" "$vault/stays.wav" || fail "what stayed in quarantine went with the account"

# What is nobody's
expect 0 ctl shred recording "$nobodys" --yes --reason "nobody's"
expect 5 ctl play "$nobodys" --reason why
status_holds '.recordings.quarantined == 1 and .recordings.destroyed == 3' || fail "the counts are wrong: $(jq -c .recordings "$vault/status.json")"
gone() { [ "$(count_objects)" -eq 1 ]; }
wait_until $PATIENCE_S gone
expect 0 ctl verify --all
stop_vault
echo "PASS: out of quarantine, and with the account for ever"
