#!/bin/bash
# Goal: what somebody without the root writes into keeper.db while the keeper is stopped is not believed: a living
# recording does not read as destroyed, its account's name does not lead to another's recordings, nothing expires early,
# no order is carried out that nobody gave; doctor and verify --all name each edit, and all that is whole plays.
# Negative control: the edit undone, everything plays and nothing is named.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq sqlite3

DB=$state/keeper/keeper.db
start_vault
for account in ann bob; do
	for i in 1 2; do
		[ -e "$vault/$i.wav" ] || make_wav "$vault/$i.wav" $((i * 30000))
		drop "$vault/$i.wav" "$account/$i.wav"
	done
done
wait_sealed
list
stop_vault
cp "$DB" "$vault/whole.db"
jq -r '.[] | "\(.id) \(.name)"' "$vault/list.json" >"$vault/sealed"
[ "$(wc -l <"$vault/sealed")" = 4 ] || fail "4 recordings were expected"
first=$(jq -r 'sort_by(.id)[0].id' "$vault/list.json")
row=$(sqlite3 "$DB" "SELECT id FROM recording ORDER BY ulid LIMIT 1")

# plays_but [ID]: all recordings but this one play.
plays_but() {
	local id name
	while read -r id name; do
		[ "$id" = "${1-}" ] || plays_as "$id" "$vault/$name" || fail "$name ($id) does not play: $(cat "$vault/err")"
	done <"$vault/sealed"
}

# named PATTERN: by doctor and by verify --all
named() {
	expect 1 ctl verify --all
	grep -q "$1" "$vault/err" || fail "verify --all does not name $1: $(cat "$vault/err")"
	ctl doctor >"$vault/doctor" 2>&1
	grep -q "CHANGE.*catalog.*$1" "$vault/doctor" || fail "doctor does not name $1: $(cat "$vault/doctor")"
}

# expect_told TABLE: in the journal; what could be put right is no finding any more.
expect_told() {
	ctl verify --all >"$vault/verified" 2>&1 # a whole round
	grep -q "$1.* was altered outside the keeper" "$vault/keeper.log" || fail "the keeper does not tell of $1"
}

# edited SQL: the vault as it was, but for this.
edited() {
	cat "$vault/whole.db" >"$DB"
	rm -f "$DB"-*
	sqlite3 "$DB" "$1" || fail "sqlite3: $1"
	start_keeper
}

# A living recording reads "destroyed on 1 November".
edited "UPDATE recording SET state = 5, destroyed_us = 1793500000000000, destroyed_epoch = 1 WHERE id = $row"
expect 1 ctl play "$first" --reason test -o "$vault/none"
grep -q "altered outside the keeper" "$vault/err" || fail "play says: $(cat "$vault/err")"
expect 0 ctl list --json
holds 'length == 4 and ([.[] | select(.state == "altered")] | length) == 1 and ([.[] | select(.state == "sealed")] | length) == 3' \
	"$vault/out" || fail "list: $(cat "$vault/out")"
plays_but "$first"
named "recording $row ($first)"
stop_keeper

# Its expiry is ten years later, or at once.
for sql in "UPDATE recording SET expires_us = expires_us + 315360000000000 WHERE id = $row" \
	"UPDATE recording SET expires_us = 1 WHERE id = $row; UPDATE expiry_group SET due_us = 1"; do
	edited "$sql"
	sleep 3 # retention looks every second
	plays_but "$first"
	named "recording $row ($first)"
	stop_keeper
done

# Who shreds ann destroys bob.
edited "CREATE TEMP TABLE two AS SELECT id, lookup FROM account WHERE id IN (2, 3);
	UPDATE account SET lookup = randomblob(32) WHERE id IN (2, 3);
	UPDATE account SET lookup = (SELECT lookup FROM two WHERE two.id = 5 - account.id) WHERE id IN (2, 3)"
expect 1 ctl shred account ann --yes --reason test
grep -q "altered" "$vault/err" || fail "shred says: $(cat "$vault/err")"
named "account 2"
stop_keeper

# Orders that nobody gave.
for sql in "INSERT INTO erasure SELECT 1, 1, id, 0, 0, 0, 'x', 0, 0, zeroblob(16) FROM account" \
	"INSERT INTO burial SELECT 1, id, 5, 1, 1, 0, zeroblob(16) FROM account" \
	"INSERT INTO removal SELECT ulid, zeroblob(16) FROM recording"; do
	edited "$sql"
	sleep 3
	plays_but
	status_holds '.epoch == 1' || fail "an order that nobody gave was carried out: $sql"
	expect_told "${sql:12:6}"
	stop_keeper
done

# A row less, and a trigger more.
edited "DELETE FROM recording WHERE id = $row"
named "table recording"
plays_but "$first"
stop_keeper
cat "$vault/whole.db" >"$DB"
sqlite3 "$DB" "CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM recording; END" || fail "sqlite3"
keeper_refuses
says "$vault/refusal" altered "Restore it"

edited "SELECT 1" >/dev/null
plays_but
expect 0 ctl verify --all
status_holds '.epoch == 1 and (.warnings | map(select(test("altered"))) | length) == 0' || fail "status: $(ctl status --json)"

# A mirror less, whose medium would undo the next shred: nothing is erased until somebody says which media there are.
mkdir -m 700 "$vault/usb"
expect 0 ctl root add usb --file "$vault/usb" --reason 'mainboard loss'
status_holds '.epoch == 2' || fail "status: $(ctl status --json)"
stop_keeper
cp "$DB" "$vault/whole.db"
edited "DELETE FROM mirror"
ctl shred account ann --yes --reason test >"$vault/shred" 2>&1 && fail "destroyed, though a mirror was taken out of the database"
grep -q 'does not say any more which mirrors' "$vault/shred" || fail "shred says: $(cat "$vault/shred")"
jq -r '.[] | select(.account == "bob") | "\(.id) \(.name)"' "$vault/list.json" >"$vault/sealed"
plays_but
status_holds '.epoch == 2 and .recordings.pending == 2 and (.last_error | test("erasures wait: keeper.db was altered"))' ||
	fail "status: $(ctl status --json)"
stop_keeper
"$BUILD/recseal-keeper" --state "$state" --accept-altered=1 >"$vault/refusal" 2>&1 && fail "accepted at another epoch"
says "$vault/refusal" "is of epoch 2"
"$BUILD/recseal-keeper" --state "$state" --accept-altered=2 >"$vault/accepted" 2>&1 || fail "not accepted: $(cat "$vault/accepted")"
rm -r "$vault/usb"
start_keeper
wait_until $PATIENCE_S status_holds '.recordings.pending == 0 and .recordings.destroyed == 2 and ([.warnings[] | select(test("altered|deleted"))] == [])'
stop_keeper
[ "$(sqlite3 "$DB" "SELECT uid FROM audit WHERE action = 'accept altered catalog'")" = "$(id -u)" ] || fail "the audit log does not say who accepted it"
echo "PASS"
