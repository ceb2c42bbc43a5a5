#!/bin/bash
# Goal: a shred destroys exactly what it names, says so, and leaves nothing behind: not the account's recordings, not
# its name, not its file names; all others still play. It cannot happen by accident, and what arrives afterwards for a
# shredded account is neither lost nor sealed under a new key of it.
# Negative control: before the shred, the same searches find the objects and the recordings play.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

DOOMED='Quagmire Telephony'
start_vault
for i in 1 2 3 4 5; do
	make_wav "$vault/doomed$i.wav" $((i * 40000))
	make_wav "$vault/other$i.wav" $((i * 30000))
	drop "$vault/doomed$i.wav" "$DOOMED/yachtverkauf-$i.wav"
	drop "$vault/other$i.wav" "bystander/call-$i.wav"
done
wait_sealed
list
[ "$(jq length "$vault/list.json") $(count_objects)" = '10 10' ] || fail "not all is sealed"
jq -r --arg a "$DOOMED" '.[] | select(.account == $a) | [.id, .name] | @tsv' "$vault/list.json" >"$vault/doomed"
handle=$(jq -r --arg a "$DOOMED" '[.[] | select(.account == $a)][0].account_handle' "$vault/list.json")
doomed1=$(head -n 1 "$vault/doomed" | cut -f 1)

doomed_play() {
	local id name
	while IFS=$'\t' read -r id name; do
		name=${name#yachtverkauf-}
		plays_as "$id" "$vault/doomed$name" || return 1
	done <"$vault/doomed"
}

others_play() {
	local i
	for i in "$@"; do
		plays_as "$(id_of "bystander/call-$i.wav")" "$vault/other$i.wav" || fail "call-$i of the other account plays no more"
	done
}
doomed_play || fail "the recordings do not play before the shred"
others_play 1 2 3 4 5

# Not by accident
expect 0 ctl shred account "$DOOMED" --dry-run --json
holds '.recordings == 5 and .assurance == "file" and (.assurance_sentence | length > 20)' "$vault/out" || fail "plan: $(cat "$vault/out")"
expect 0 ctl shred account "$DOOMED" --dry-run
says "$vault/out" "would destroy the account $DOOMED" '5 recordings' 'cannot be undone'
expect 2 ctl shred account "$DOOMED" --reason test </dev/null
says "$vault/err" 'not a terminal' '--yes'
expect 2 ctl shred account "$DOOMED" --yes
says "$vault/err" 'reason'
expect 4 ctl shred account 'No such' --yes --reason test
expect 4 ctl shred account 'No such' --dry-run
expect 4 ctl shred recording 01kaw5q7v3c2m9x0r8t4e6h1zn --yes --reason test
status_holds '.epoch == 1' || fail "a refused or dry shred changed the epoch"
doomed_play || fail "a refused or dry shred destroyed something"

# The deed
expect 0 ctl shred account "$DOOMED" --yes --json --reason 'contract ended'
holds '.recordings == 5 and .epoch_before == 1 and .epoch_after == 2 and (.destroyed_at | length > 10)
	and .plaintext_bytes == 600220 and .assurance == "file"' "$vault/out" || fail "result: $(cat "$vault/out")"
while IFS=$'\t' read -r id _; do
	expect 5 ctl play "$id" --reason test
	[ ! -s "$vault/out" ] || fail "play of a shredded recording writes something"
	expect 5 ctl verify "$id"
	expect 5 ctl shred recording "$id" --yes --reason test
done <"$vault/doomed"
others_play 1 2 3 4 5
list
holds "[.[] | select(.account_handle == \"$handle\")] | length == 5 and all(.[]; .state == \"destroyed\" and .destroyed_epoch == 2
	and (.destroyed_at | length > 10) and (has(\"account\") or has(\"name\") or has(\"path\") or has(\"spool\") | not))" ||
	fail "the list does not show them destroyed: $(jq -c ".[] | select(.account_handle == \"$handle\")" "$vault/list.json")"
expect 0 ctl list
says "$vault/out" "$handle +destroyed"
expect 5 ctl shred account "$DOOMED" --yes --reason again
says "$vault/err" 'epoch'
objects_gone() { [ "$(count_objects)" -eq 5 ]; }
wait_until $PATIENCE_S objects_gone

# The name is nowhere, and nowhere in what anybody is told
expect 0 ctl account show "$handle" --json
holds '.state == "deleted" and .deleted_epoch == 2 and (has("name") | not)' "$vault/out" || fail "account: $(cat "$vault/out")"
ctl account list --json >"$vault/accounts.json"
names_lie_in() { find "$@" -type f -exec cat {} + | grep -aqiE "quagmire|yachtverkauf"; }
names_lie_in "$state" "$vault/list.json" "$vault/accounts.json" "$vault/keeper.log" "$vault/intake.log" && fail "a shredded name lies open"
names_lie_in "$vault/doomed" || fail "the search for names finds none"

# Late arrivals
make_wav "$vault/late.wav" 5000
drop "$vault/late.wav" "$DOOMED/yachtverkauf-6.wav"
wait_sealed
list
holds '[.[] | select(.state == "quarantined")] | length == 1 and (.[0].quarantine_reason | test("shredded"))' ||
	fail "the late one is not in quarantine: $(jq -c '.[-1]' "$vault/list.json")"
late=$(jq -r '.[] | select(.state == "quarantined") | .id' "$vault/list.json")
plays_as "$late" "$vault/late.wav" || fail "the late one does not play: it is lost"
expect 0 ctl account show "$handle" --json
holds '.state == "deleted" and .recordings.sealed == 0 and .recordings.quarantined == 0' "$vault/out" || fail "the account lives again: $(cat "$vault/out")"

# A single recording of the other account, and it only
one=$(id_of bystander/call-3.wav)
expect 0 ctl shred recording "$one" --yes --reason 'card number was read out'
says "$vault/out" 'does not prove' '2 before, 3 after'
expect 5 ctl play "$one" --reason test
others_play 1 2 4 5
plays_as "$late" "$vault/late.wav" || fail "the quarantined one plays no more"
expect 0 ctl verify --all

# All the same after a restart
stop_vault
start_vault
expect 5 ctl play "$one" --reason test
expect 5 ctl play "$doomed1" --reason test
others_play 1 2 4 5
expect 0 ctl verify --all --json
holds '.ok == 5' "$vault/out" || fail "verify: $(cat "$vault/out")"
stop_vault
echo "PASS: shredded for good, and nothing else"
