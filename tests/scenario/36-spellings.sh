#!/bin/bash
# Goal: one customer under several spellings of a name is not shredded by half without a word: plan, statement and
# account show name every account that looks alike and remains, whatever the difference, and no other; and where Names=
# says so, the spellings are one account from the start.
# Negative control: names that differ in a letter are not named, and with Names=exact each spelling is an account.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

nfc=$'M\xc3\xbcller' nfd=$'Mu\xcc\x88ller'
dns=(acme.example.com Acme.Example.com ACME.example.com. ' acme.example.com' $'acme\xe2\x80\x8b.example.com'
	$'\xef\xbd\x81cme\xe3\x80\x82example.com')
mueller=("$nfc" "$nfd" $'M\xfcller' "$nfc " "$nfc." 'm%C3%BCller' xn--mller-kva $'\xef\xbb\xbf'"$nfc")
others=(acme.example.org Muller Mueller $'M\xd1\x81ller' 4711 4712)

start_vault
i=0
for name in "${dns[@]}" "${mueller[@]}" "${others[@]}"; do
	make_wav "$vault/$i.wav" $((2000 + i))
	drop "$vault/$i.wav" "$name/call.wav" || skip "no such names here"
	i=$((i + 1))
done
wait_sealed
[ "$(ctl account list --json | jq '[.[] | select(.state == "open")] | length')" -eq $i ] || fail "not $i accounts"

alike() { # NAME COUNT: account show names so many
	expect 0 ctl account show "$1" --json
	holds "(.look_alikes | length) == $2" "$vault/out" || fail "look-alikes of $1: $(cat "$vault/out")"
}
list
for ((at = 0; at < i; at++)); do # by the size, which nobody can misspell
	expected=0
	if [ $at -lt ${#dns[@]} ]; then
		expected=$((${#dns[@]} - 1))
	elif [ $at -lt $((${#dns[@]} + ${#mueller[@]})) ]; then
		expected=$((${#mueller[@]} - 1))
	fi
	alike "$(jq -r ".[] | select(.plaintext_bytes == $(stat -c %s "$vault/$at.wav")) | .account_handle" "$vault/list.json")" $expected
done
alike "$nfd" $((${#mueller[@]} - 1))

# Who orders sees them, told apart and typeable; the statement names them too.
expect 0 ctl shred account "$nfc" --dry-run
says "$vault/out" 'own spelling +M\\xc3\\xbcller' 'looks alike .*spelt Mu\\xcc\\x88ller.*1 recording' 'spelt M\\xc3\\xbcller\\x20' 'this shred leaves them'
expect 0 ctl shred account "$nfc" --dry-run --json
holds ".spelling == \"M\\\\xc3\\\\xbcller\" and (.look_alikes | length) == $((${#mueller[@]} - 1))
	and all(.look_alikes[]; .recordings == 1 and .plaintext_bytes > 2000 and .state == \"open\" and (.handle | length) == 26)
	and ([.look_alikes[].spelling] | unique | length) == $((${#mueller[@]} - 1))" "$vault/out" || fail "plan: $(cat "$vault/out")"
expect 0 ctl shred account "$nfc" --yes --reason 'GDPR 17'
says "$vault/out" "Not destroyed: $((${#mueller[@]} - 1)) accounts that look alike" 'looks alike .*spelt Mu\\xcc\\x88ller' 'were not destroyed'
left=$((${#mueller[@]} - 2))
alike "$nfd" $left
spelt=$(jq -r '.look_alikes[0].spelling' "$vault/out")
expect 0 ctl shred account "$spelt" --yes --json --reason 'GDPR 17'
holds "(.look_alikes | length) == $left" "$vault/out" || fail "statement: $(cat "$vault/out")"
expect 0 ctl shred account 4711 --dry-run
grep -q 'looks alike' "$vault/out" && fail "4711 looks like no other"

# A spelling that is no account's is not found, and what it may mean is said.
expect 4 ctl account show ACME.EXAMPLE.COM
says "$vault/err" 'not in this vault; there is one that looks alike, spelt acme.example.com'
expect 4 ctl account show 'somebody else'
grep -q 'looks alike' "$vault/err" && fail "somebody else looks like no other"

# No name lies open, and nothing of a shredded one finds its look-alikes
names_lie_in() { find "$@" -type f -exec cat {} + | grep -aqiE 'acme|ller|xn--'; }
stop_keeper
names_lie_in "$state" "$vault/keeper.log" "$vault/intake.log" && fail "a name lies open"
sqlite3 "$state/keeper/keeper.db" "SELECT count(*) FROM account WHERE state = 4 AND look IS NOT NULL" >"$vault/looks" 2>&1 &&
	[ "$(cat "$vault/looks")" != 0 ] && fail "a tombstone keeps its look: $(cat "$vault/looks")"
start_keeper
wait_until $PATIENCE_S intake_ready
expect 0 ctl verify --all
stop_intake

# Names=: one account from the start
folded() { # FOLDING NAME...
	local folding=$1
	shift
	spool=$vault/$folding
	mkdir "$spool"
	printf '[spool %s]\nPath=%s\nNames=%s\n' "$folding" "$spool" "$folding" >"$vault/intake.conf"
	"$BUILD/recseald" --state "$state" --config "$vault/intake.conf" >>"$vault/intake.log" 2>&1 &
	intake_pid=$!
	wait_until 60 intake_ready
	local name
	for name; do
		drop "$vault/$((n += 1)).wav" "$name/call.wav"
	done
	wait_sealed
	stop_intake
}
n=0
folded dns 'Xn--Mller-Kva.Example.' $'m\xc3\xbcLLER.example' $'MU\xcc\x88LLER.EXAMPLE' ' x.Example. ' x.example
expect 0 ctl account show $'m\xc3\xbcller.example' --json
holds '.recordings.sealed == 3 and (.look_alikes | length) == 0' "$vault/out" || fail "dns: $(cat "$vault/out")"
expect 0 ctl account show x.example --json
holds '.recordings.sealed == 2' "$vault/out" || fail "dns: $(cat "$vault/out")"
folded nfc $'Zoe\xcc\x88' $' Zo\xc3\xab .' $'zo\xc3\xab'
expect 0 ctl account show $'Zo\xc3\xab' --json
holds '.recordings.sealed == 2 and (.look_alikes | length) == 1' "$vault/out" || fail "nfc: $(cat "$vault/out")"
expect 0 ctl shred account $'Zo\xc3\xab' --yes --reason test
says "$vault/out" '2 recordings' 'looks alike +zo'
stop_keeper
echo "PASS: every spelling is named, or folded"
