#!/bin/bash
# Goal: whatever of the keeper's state is damaged, cut short, missing or another's, the keeper either refuses with a
# message that says what to do, and changes nothing, or it serves all that is whole; it never plays wrong bytes, makes
# new keys over old recordings or throws sealed objects away.
# Negative control: after every damage the state as it was is put back, in place, and all of it plays.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq sqlite3

K=$state/keeper DB=$state/keeper/keeper.db ROOT=$state/keeper/root.slots
for account in one two; do
	start_vault
	for i in 1 2 3; do
		[ -e "$vault/$i.wav" ] || make_wav "$vault/$i.wav" $((i * 30000))
		drop "$vault/$i.wav" "$account/$i.wav"
	done
	wait_sealed
	list
	stop_vault
	[ -e "$vault/older.db" ] || cp "$DB" "$vault/older.db"
done
jq -r '.[] | "\(.id) \(.name)"' "$vault/list.json" >"$vault/sealed"
chmod -R u+w "$state/objects"
cp -a "$state" "$vault/copy"

# In place, because the root file is known by its inode
present() {
	cat "$vault/copy/keeper/keeper.db" >"$DB"
	rm -f "$DB"-*
	cat "$vault/copy/keeper/root.slots" >"$ROOT"
}

# all_play [BUT_ID]: and verify finds nothing but that one
all_play() {
	local id name
	while read -r id name; do
		[ "$id" = "${1-}" ] || plays_as "$id" "$vault/$name" || fail "$name ($id) does not play: $(cat "$vault/err")"
	done <"$vault/sealed"
	expect $(($# > 0)) ctl verify --all --json
	holds "[.bad[].id] == [$(printf '"%s"' "$@" | grep -v '""')] and .checked == 6" "$vault/out" || fail "verify: $(cat "$vault/out")"
}

serves() {
	start_keeper
	all_play
	status_holds '.epoch == 1' || fail "the epoch is another"
	stop_keeper
	present
}

# refused PATTERN...: says so, and changes nothing
refused() {
	rm -rf "$vault/tried"
	cp -a "$K" "$vault/tried"
	keeper_refuses
	says "$vault/refusal" "$@"
	diff -r -x 'keeper.db-*' "$vault/tried" "$K" >"$vault/diff" || fail "the refusal changed something: $(cat "$vault/diff")"
	[ "$(count_objects)" -eq 6 ] || fail "the refusal removed objects"
}
serves

# --- The catalog: its header, cut short, missing, another's ---
spoil "$DB" 0
refused 'keeper.db is corrupt' '[Rr]estore.* leave root.slots'
for bytes in 0 100 40960 $(($(stat -c %s "$DB") - BLOCK_BYTES)); do
	present
	truncate -s "$bytes" "$DB"
	refused 'corrupt'
done
present
mv "$DB" "$vault/aside"
refused 'no keeper.db' '[Rr]estore' 'no new vault'
mv "$vault/aside" "$DB"
sqlite3 "$vault/other.db" 'CREATE TABLE appointment(at, what)' && cat "$vault/other.db" >"$DB"
refused 'keeper.db is corrupt' '[Rr]estore'
present
"$BUILD/recseal-keeper" --state "$vault/other" >"$vault/other.log" 2>&1 &
keeper_pid=$!
wait_until $PATIENCE_S test -S "$vault/other/run/control"
stop_keeper
cat "$vault/other/keeper/keeper.db" >"$DB"
refused 'do not belong together' '[Rr]estore'
present
serves

# starts_anyway: or else it is refused, not crashed
opened() { ! alive "$keeper_pid" || grep -q 'vault open' "$vault/keeper.log"; }
starts_anyway() {
	local status=0
	: >"$vault/keeper.log"
	"$BUILD/recseal-keeper" --state "$state" >>"$vault/keeper.log" 2>&1 &
	keeper_pid=$!
	wait_until $PATIENCE_S opened
	alive "$keeper_pid" && return
	wait "$keeper_pid" || status=$?
	keeper_pid=''
	[ $status -eq 1 ] || fail "the keeper ends with status $status"
	return 1
}

# Every page of it: whatever then plays is right, and nothing is thrown away.
outcomes=''
for ((page = 1; page < $(stat -c %s "$vault/copy/keeper/keeper.db") / BLOCK_BYTES; page++)); do
	spoil "$DB" $page
	if starts_anyway; then
		outcomes+=s
		while read -r id name; do
			ctl play "$id" --reason test >"$vault/played" 2>"$vault/err" || continue
			cmp -s "$vault/played" "$vault/$name" || fail "page $page: wrong bytes"
		done <"$vault/sealed"
		stop_keeper
	else
		outcomes+=r
		says "$vault/keeper.log" 'corrupt'
	fi
	[ "$(count_objects)" -eq 6 ] || fail "page $page: objects were removed"
	present
done
case $outcomes in *r*s* | *s*r*) ;; *) fail "the outcome of a spoilt page is always the same: $outcomes" ;; esac

# What arrives while the catalog is spoilt stays in the spool.
for table in audit source; do
	spoil "$DB" $(($(sqlite3 "$DB" "SELECT rootpage FROM sqlite_master WHERE name = '$table'") - 1))
	start_vault
	drop "$vault/1.wav" "one/late-$table.wav"
	wait_until $PATIENCE_S status_holds '.spool.waiting == 1 and any(.warnings[]; test("corrupt"))'
	stop_vault
	cmp "$vault/1.wav" "$spool/one/late-$table.wav" || fail "the plaintext was touched"
	rm "$spool/one/late-$table.wav"
	[ "$(count_objects)" -eq 6 ] || fail "an object without a place in the catalog stays"
	present
done

# --- Single keys (kinds of node: 2 above accounts, 4 expiry groups, 5 recordings; the last is of account two) ---
key_lost() {
	sqlite3 "$DB" "UPDATE node SET sealed = zeroblob(length(sealed)) WHERE id = (SELECT max(id) FROM node WHERE id >> 56 = $1)" || fail "sqlite3"
	start_keeper
	expect 1 ctl verify --all --json
	holds "$2" "$vault/out" || fail "a spoilt key of kind $1: verify says $(cat "$vault/out")"
	for id in $(jq -r '.bad[].id' "$vault/out"); do
		expect 1 ctl play "$id" --reason test -o "$vault/forged"
		says "$vault/err" corrupt
	done
	stop_keeper
	present
}
key_lost 5 '.ok == 5'
key_lost 4 '.ok == 3'
key_lost 2 '.ok == 3'
sqlite3 "$DB" 'UPDATE node SET sealed = zeroblob(length(sealed)) WHERE id = (SELECT max(id) FROM node WHERE id >> 56 = 1)'
refused 'do not belong together'
present

# --- The root file: slot 0 is the one in use ---
spoil "$ROOT" 1
serves
spoil "$ROOT" 0
refused 'no root slot' '[Rr]estore .*root.slots' 'no new root'
spoil "$ROOT" 0 2
refused 'no root slot' '[Rr]estore .*root.slots' 'no new root'
present
spoil "$ROOT" 2
refused 'root.slots is damaged' '[Rr]estore' 'no new root'
expect 0 "$BUILD/recseal-keeper" --state "$state" --accept-restored=1
serves
for bytes in 0 $BLOCK_BYTES $((4 * BLOCK_BYTES)); do
	truncate -s "$bytes" "$ROOT"
	refused 'root.slots is damaged' '[Rr]estore' 'no new root'
	present
done
dd if="$vault/other/keeper/root.slots" of="$ROOT" bs=$BLOCK_BYTES count=2 conv=notrunc status=none
refused 'do not belong together' '[Rr]estore'
present
mv "$ROOT" "$vault/aside"
refused 'no root.slots' '[Rr]estore' 'no new root'
[ ! -e "$ROOT" ] || fail "a new root was made"
mv "$vault/aside" "$ROOT"
serves

# --- Sealed objects ---
start_vault
id=$(id_of one/2.wav) object=$(object_of "$id")
damaged() {
	expect 1 ctl play "$id" --reason test -o "$vault/forged"
	says "$vault/err" "$@"
	[ ! -e "$vault/forged" ] || fail "play left a file"
	expect 1 ctl verify "$id"
	says "$vault/err" "$id" "$@"
	all_play "$id"
}
truncate -s -9 "$object"
damaged 'damaged|incomplete'
: >"$object"
damaged 'age header'
cat "$(object_of "$(id_of two/2.wav)")" >"$object"
damaged 'no key opens'
rm "$object"
damaged 'object is missing'
cp "$vault/copy/objects/${object#"$state/objects/"}" "$object"
all_play
stop_vault

# --- Keys sealed together, as a shred leaves them: below expiry groups, accounts, the two levels above and the root ---
survivor=$(id_of two/2.wav)
start_keeper
expect 0 ctl shred recording "$(id_of two/3.wav)" --yes --reason test
expect 0 ctl verify --all
stop_keeper
cp "$DB" "$vault/packed.db"
packed() {
	cat "$vault/packed.db" >"$DB"
	rm -f "$DB"-*
}
pack_lost() {
	sqlite3 "$DB" "UPDATE node_pack SET sealed = zeroblob(length(sealed)) WHERE parent >> 56 = $1" || fail "sqlite3"
	start_keeper
	for time in before after; do
		expect 1 ctl verify --all --json
		holds "$2" "$vault/out" || fail "a spoilt pack of kind $1: $time a shred verify says $(cat "$vault/out")"
		[ $time = after ] || expect 1 ctl shred recording "$survivor" --yes --reason test
		[ $time = after ] || says "$vault/err" "right below $3 .*damaged" 'until keeper.db is restored'
	done
	stop_keeper
	packed
}
pack_lost 4 '.ok == 3' 'expiry group'
pack_lost 3 '.ok == 3' account
pack_lost 2 '.ok == 3' 'second level'
pack_lost 1 '.ok == 0' 'first level'
sqlite3 "$DB" 'UPDATE node_pack SET sealed = zeroblob(length(sealed)) WHERE parent = 0'
refused 'do not belong together'
packed
start_keeper
expect 0 ctl shred recording "$survivor" --yes --reason test # negative control
stop_keeper
rm -rf "$state/objects"
cp -a "$vault/copy/objects" "$state/objects"
present

# --- What is lost must not be taken for destroyed, nor what is older for what is ---
flaws=''
present
sqlite3 "$DB" 'DELETE FROM node WHERE id = (SELECT max(id) FROM node WHERE id >> 56 = 5)'
start_keeper
ctl verify --all >"$vault/out" 2>&1 && flaws+="a recording whose key is missing is not found by verify: $(cat "$vault/out"). "
stop_keeper
cat "$vault/older.db" >"$DB"
starts_anyway && stop_keeper
kept=$(find "$state/objects" -name '*.age' -o -name '*.age.uncatalogued' | wc -l)
[ "$kept" -eq 6 ] || flaws+="with an older catalog of the same epoch, $((6 - kept)) newer objects were removed. "
says "$vault/keeper.log" '3 sealed objects .* set aside'
[ -z "$flaws" ] || fail "$flaws"
present
serves
echo "PASS: what is damaged is told, what is whole is served (pages: $outcomes)"
