#!/bin/bash
# Goal: keeper.db put back as the manual says, from before places of the root changed or an order was given, forgets
# nothing. After a change of the mirrors the older copy is refused; an order that waits for a mirror is in the database
# again after the start; and whoever holds a mirror that was given up opens nothing that was sealed afterwards.
# Negative control: the newest copy opens, and so does an older one of the same epoch when nothing was promised since.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

keeper_db=$state/keeper/keeper.db

configure() {
	printf '[keeper]\n' >"$vault/recseal.conf"
	printf '%s\n' "$@" >>"$vault/recseal.conf"
}
keeper() { start_keeper --config "$vault/recseal.conf"; }
save() { # NAME: as BACKUPS in recseal-keeper(8) says, with the keeper stopped
	stop_keeper
	rm -rf "${vault:?}/$1"
	mkdir "$vault/$1"
	cp -a "$keeper_db"* "$vault/$1/"
	keeper
}
put_back() { # NAME; the keeper is stopped
	rm -f "$keeper_db"*
	cp -a "$vault/$1/." "$state/keeper/"
}
older_is_refused() { # WHAT: the copy "older" does not open, the newest one does
	stop_keeper
	rm -rf "$vault/newest"
	mkdir "$vault/newest"
	cp -a "$keeper_db"* "$vault/newest/"
	put_back older
	keeper_refuses --config "$vault/recseal.conf"
	says "$vault/refusal" 'epoch mismatch'
	put_back newest
	keeper
	[ "$(live_play)" -ge 1 ] || fail "$1: nothing plays from the newest database"
}
one_of() { jq -r --arg a "$1" '[.[] | select(.account == $a and .state == "sealed")][0].id' "$vault/list.json"; }

mkdir "$vault/media"
for name in one two three; do mkdir -m 700 "$vault/media/$name"; done
configure AwayLimit=0
keeper
seal 3 acme
seal 3 other

# --- Control: the same epoch, and nothing promised since ---
save older
stop_keeper
put_back older
keeper
[ "$(live_play)" -eq 6 ] || fail "a copy of the present epoch does not open"

# --- Add: the forgotten mirror of the report ---
save older
expect 0 ctl root add usb --file "$vault/media/one" --reason 'second place'
older_is_refused add

# --- Replace, and drop ---
save older
expect 0 ctl root replace usb --file "$vault/media/two" --reason 'new disk'
older_is_refused replace
save older
expect 0 ctl root drop usb --reason 'not needed'
older_is_refused drop

# --- Give up: of the past from then on ---
expect 0 ctl root add usb --file "$vault/media/one" --reason 'second place'
before=$(ctl status --json | jq .epoch)
save older
mv "$vault/media/one" "$vault/media/lost"
wait_until $PATIENCE_S sh -c "! '$BUILD/recsealctl' --socket '$state/run/control' root test >/dev/null 2>&1"
expect 0 ctl root drop usb --reason 'lost on the train'
status_holds ".epoch > $before" || fail "giving up is no epoch: $(cat "$vault/status.json")"
older_is_refused 'give up'
list
expect 0 ctl shred recording "$(one_of acme)" --yes --reason test
says "$vault/out" "given up at epoch $before"

# --- The keeper's own place is lost, given up, replaced ---
expect 0 ctl root add usb --file "$vault/media/three" --reason 'second place'
save older
stop_keeper
mv "$state/keeper/root.slots" "$vault/media/main"
keeper
expect 0 ctl root replace main --reason 'disk died'
older_is_refused 'replace main'

# --- An order that waits ---
stop_keeper
mv "$vault/media/three" "$vault/media/away"
keeper
save older
list
id=$(one_of acme)
account=$(jq -r '[.[] | select(.account == "other")] | length' "$vault/list.json")
expect 1 ctl shred recording "$id" --yes --reason 'her request'
expect 1 ctl shred account other --yes --reason 'their request'
says "$vault/err" 'not destroyed yet'
stop_keeper
put_back older
keeper
status_holds ".recordings.pending == 1 + $account" || fail "an order was forgotten: $(cat "$vault/status.json")"
mkdir -m 700 "$vault/media/three"
expect 1 ctl root test
rmdir "$vault/media/three"
mv "$vault/media/away" "$vault/media/three"
wait_until $PATIENCE_S status_holds '(.recordings.pending // 0) == 0'
expect 5 ctl play "$id" --reason x
expect 0 ctl root test
grep -a 'ordered to shred' "$vault"/*.log >/dev/null || fail "nobody is told that orders were missing"

# --- A mirror that was added meanwhile ---
stop_keeper
mv "$vault/media/three" "$vault/media/away"
keeper
save older
mkdir -m 700 "$vault/media/one"
expect 0 ctl root add late --file "$vault/media/one" --reason 'while the other is away'
stop_keeper
put_back older
keeper
ctl root show --json >"$vault/places"
holds 'any(.[]; .name == "late")' "$vault/places" || fail "the mirror is forgotten: $(cat "$vault/places")"
mv "$vault/media/away" "$vault/media/three"
wait_until $PATIENCE_S ctl root test
older_is_refused 'add while away'

# --- Two lost ones are given up one after the other: the first answer says what it waits for ---
save older
mv "$vault/media/one" "$vault/media/gone1"
mv "$vault/media/three" "$vault/media/gone3"
wait_until $PATIENCE_S sh -c "! '$BUILD/recsealctl' --socket '$state/run/control' root test >/dev/null 2>&1"
before=$(ctl status --json | jq .epoch)
expect 0 ctl root drop late --reason 'lost as well'
cat "$vault/out" "$vault/err" >"$vault/said"
says "$vault/said" 'waits until every copy'
status_holds ".epoch == $before" || fail "an epoch without all copies"
expect 0 ctl root drop usb --reason 'lost as well'
status_holds ".epoch > $before" || fail "the epoch that was owed is not made"
older_is_refused 'give up two'

# --- Looking changes nothing ---
mkdir -m 700 "$vault/media/four"
expect 0 ctl root add four --file "$vault/media/four" --reason 'the last one'
sum() { cat "$state/keeper/root.slots" "$vault/media/four/root.slots" "$keeper_db"* | sha256sum; }
sum >"$vault/sum"
for _ in $(seq 50); do ctl root show >/dev/null; done
ctl doctor >/dev/null
ctl status >/dev/null
sum | cmp -s - "$vault/sum" || fail "looking has changed something"
echo "PASS: refused after each change of the root's places, and no order forgotten"
