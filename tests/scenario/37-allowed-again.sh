#!/bin/bash
# Goal: a name that was shredded is dead until an officer allows it again. Then it is a new account, on record: nothing of
# the former one comes back, its tombstone stays, and each shred of the name destroys what was sealed since the last.
# Negative control: without the permission, what arrives is quarantined; and a name that was not shredded is refused.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq sqlite3

still_dead() {
	expect 0 ctl account show 4711 --json
	holds '.state == "deleted"' "$vault/out" || fail "the account lives: $(cat "$vault/out")"
}

start_vault
for each in first other late new again; do make_wav "$vault/$each.wav" $((RANDOM + 3000)); done
drop "$vault/first.wav" '4711/first.wav'
drop "$vault/other.wav" 'bystander/other.wav'
wait_sealed
list
first=$(id_of 4711/first.wav)
former=$(jq -r '.[] | select(.account == "4711") | .account_handle' "$vault/list.json")

# What was not shredded needs no permission, and gets none
expect 3 ctl account allow 4711 --reason 'new customer'
says "$vault/err" 'was not shredded'
expect 3 ctl account allow 4712 --reason 'new customer'
says "$vault/err" 'no account with exactly this name was shredded'
expect 2 ctl account allow 4711
expect 2 ctl account allow 4711 --reason ' '

expect 0 ctl shred account 4711 --yes --reason 'contract ended'
drop "$vault/late.wav" '4711/late.wav'
wait_sealed
list
late=$(jq -r '.[] | select(.state == "quarantined") | .id' "$vault/list.json")
[ -n "$late" ] || fail "the late one is not in quarantine"
expect 3 ctl account allow "$former" --reason 'by its handle'
says "$vault/err" 'give the name'
expect 3 ctl account allow '4711 ' --reason 'nearly'
still_dead

expect 0 ctl account allow 4711 --reason 'the extension has a new owner, ticket 88'
says "$vault/out" 'Allowed: 4711' "former account +$former" 'arrives from now on' 'quarantine'
expect 3 ctl account allow 4711 --reason 'twice'
expect 0 ctl account show 4711 --json
holds '.state == "open" and .name == "4711" and .plaintext_bytes == 0' "$vault/out" || fail "account: $(cat "$vault/out")"
account=$(jq -r .handle "$vault/out")
[ "$account" != "$former" ] || fail "the same handle"

# Nothing comes back
expect 5 ctl play "$first" --reason test
expect 0 ctl account show "$former" --json
holds '.state == "deleted" and .deleted_epoch == 2 and .recordings.destroyed == 1 and (has("name") | not)' "$vault/out" || fail "tombstone: $(cat "$vault/out")"
expect 5 ctl shred account "$former" --yes --reason test
expect 0 ctl show "$late" --json
holds '.state == "quarantined"' "$vault/out" || fail "the late one left quarantine by itself"

# The new account lives like any other; the file of the shredded recording is still nobody's.
drop "$vault/new.wav" '4711/new.wav'
wait_sealed
list
new=$(id_of 4711/new.wav)
holds ".[] | select(.id == \"$new\") | .state == \"sealed\" and .account_handle == \"$account\"" || fail "new: $(cat "$vault/list.json")"
plays_as "$new" "$vault/new.wav" || fail "the new one does not play"
expect 0 ctl quarantine assign "$late" --account 4711 --reason 'it was for the new owner'
stop_vault
sqlite3 "$state/keeper/keeper.db" 'SELECT action, subject, reason FROM audit' >"$vault/audit"
says "$vault/audit" "allow shredded account.$former.the extension has a new owner, ticket 88" "as new account.$account.the extension has a new owner, ticket 88" \
	'refused'
start_vault
plays_as "$new" "$vault/new.wav" || fail "the new one does not play after a start"
expect 0 ctl verify --all --json
holds '.ok == 3' "$vault/out" || fail "verify: $(cat "$vault/out")"

# And is shredded, and allowed, once more
expect 0 ctl shred account 4711 --yes --json --reason 'moved away'
holds '.recordings == 2' "$vault/out" || fail "shred: $(cat "$vault/out")"
expect 5 ctl play "$new" --reason test
still_dead
expect 0 ctl account allow 4711 --reason 'given to somebody else' --json
holds ".former.handle == \"$account\" and .account.name == \"4711\" and .account.handle != \"$account\"" "$vault/out" || fail "allow: $(cat "$vault/out")"
drop "$vault/again.wav" '4711/again.wav'
wait_sealed
list
plays_as "$(id_of 4711/again.wav)" "$vault/again.wav" || fail "the third customer's does not play"
plays_as "$(id_of bystander/other.wav)" "$vault/other.wav" || fail "another account suffered"
ctl account list --json >"$vault/accounts.json"
holds '[.[] | select(.state == "deleted")] | length == 2' "$vault/accounts.json" || fail "a tombstone is gone: $(cat "$vault/accounts.json")"

# Only officers
if is_root && command -v setpriv >/dev/null; then
	chmod 755 "$vault" "$state" "$state/run"
	chmod 666 "$state/run/control"
	expect 0 ctl shred account 4711 --yes --reason test
	expect 3 setpriv --reuid 65534 --clear-groups "$BUILD/recsealctl" --socket "$socket" account allow 4711 --reason mine
	still_dead
fi
stop_vault
echo "PASS: a new account, and nothing of the former one"
