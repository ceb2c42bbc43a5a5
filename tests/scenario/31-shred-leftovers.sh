#!/bin/bash
# Goal: plan and statement of a shred name what the shred does not reach: the other parts of a recording, accounts whose
# names look alike, and every file of the account that still lies in a spool, whatever keeps it there. Afterwards a search of the whole disk for the
# account's audio finds nothing that the statement did not name. A spool that nobody could look into is named as such.
# Negative control: the search finds the audio of another account, and of this one before it is sealed.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

# marked_wav FILE MARK: audio in which MARK can be searched for
marked_wav() {
	{
		wav_header 40000
		yes "$2" | head -c 40000
	} >"$1"
}

# the files of spool and vault with this mark, as paths below the spool
lie_open() {
	grep -rlaF "$1" "$spool" "$state" | sed "s|^$spool/||" | sort
}

printf '[spool s]\nPath=%s\n[intake]\nRescan=1s\n' "$spool" >"$vault/recseal.conf"
mkdir -p "$spool/acme/.hidden" "$spool/other"
start_keeper

# A plan without the intake
marked_wav "$vault/part1.wav" MARK-acme-part1
start_configured_intake
drop "$vault/part1.wav" acme/call.wav
wait_sealed
kill_intake
wait_until 20 status_holds '.intake_connected | not'
expect 0 ctl shred account acme --dry-run
says "$vault/out" 'not looked at +spool s: recseald is not connected'
expect 0 ctl shred account acme --dry-run --json
holds '.spools | length == 1 and (.[0].looked | not)' "$vault/out" || fail "spools: $(cat "$vault/out")"

# Parts: the bridge goes on under the same name, twice; and another file is no part
start_configured_intake
marked_wav "$vault/part2.wav" MARK-acme-part2
drop "$vault/part2.wav" acme/call.wav
wait_sealed
drop "$vault/part2.wav" acme/call.wav
wait_sealed
marked_wav "$vault/else.wav" MARK-acme-else
drop "$vault/else.wav" acme/else.wav
marked_wav "$vault/other.wav" MARK-other
drop "$vault/other.wav" other/call.wav
wait_sealed
list
[ "$(jq length "$vault/list.json")" -eq 5 ] || fail "not all is sealed: $(jq -c '.[].path' "$vault/list.json")"
first=$(jq -r '[.[] | select(.path == "acme/call.wav")][0].id' "$vault/list.json")
jq -r '[.[] | select(.path == "acme/call.wav")][1:][].id' "$vault/list.json" | sort >"$vault/others"
expect 0 ctl shred recording "$first" --dry-run --json
jq -r '.parts[].id' "$vault/out" | sort | cmp -s - "$vault/others" || fail "parts: $(cat "$vault/out")"
holds '.recordings == 1 and .parts_complete and (.parts | all(.taken | not)) and .spools[0].looked and .spools[0].files == 0' \
	"$vault/out" || fail "plan: $(cat "$vault/out")"
expect 0 ctl shred recording "$first" --dry-run
says "$vault/out" 'part NOT taken' 'with-parts' 'none found of this recording'
expect 0 ctl shred recording "$first" --with-parts --dry-run --json
holds '.recordings == 3 and (.parts | all(.taken))' "$vault/out" || fail "plan with parts: $(cat "$vault/out")"
expect 0 ctl shred recording "$first" --with-parts --yes --json --reason 'the whole call'
holds '.recordings == 3 and (.parts | length == 2 and all(.taken))' "$vault/out" || fail "result: $(cat "$vault/out")"
for id in "$first" $(cat "$vault/others"); do
	expect 5 ctl play "$id" --reason test
done
plays_as "$(id_of acme/else.wav)" "$vault/else.wav" || fail "what is no part was destroyed"

# Another account, whose name is spelt almost the same: it stays, and the statement says so
marked_wav "$vault/alike.wav" MARK-alike
drop "$vault/alike.wav" Acme/call.wav
wait_until 30 list_holds 'any(.[]; .account == "Acme")'

# Everything that can lie in a spool
exec 7>"$spool/acme/live.wav"
cat "$vault/part1.wav" >&7
cp "$vault/part1.wav" "$vault/outside.wav"
ln "$vault/outside.wav" "$spool/acme/linked.wav"
cp "$vault/part1.wav" "$spool/acme/copy.wav.part"
cp "$vault/part1.wav" "$spool/acme/.dotted.wav"
cp "$vault/part1.wav" "$spool/acme/.hidden/deep.wav"
exec 8>"$spool/other/live.wav"
cat "$vault/other.wav" >&8
rm "$vault/outside.wav"
ln "$spool/acme/linked.wav" "$vault/outside.wav"
refused() { status_holds '.spool.refused >= 1'; }
wait_until 20 refused
lie_open MARK-acme >"$vault/before"
[ "$(wc -l <"$vault/before")" -ge 5 ] || fail "the search finds too little: $(cat "$vault/before")"

expect 0 ctl shred account acme --dry-run
says "$vault/out" 'acme/live.wav .*not sealed yet' 'acme/linked.wav .*hard link' 'copy.wav.part .*ignored' 'this shred does not reach'
expect 0 ctl shred account acme --yes --json --reason 'contract ended'
cp "$vault/out" "$vault/statement"
holds '.spools | length == 1 and .[0].looked and .[0].files == (.[0].entries | length) and .[0].path != null' "$vault/statement" ||
	fail "statement: $(cat "$vault/statement")"
holds '[.look_alikes[].name] == ["Acme"]' "$vault/statement" || fail "look-alikes: $(cat "$vault/statement")"
jq -r '.spools[].entries[].path' "$vault/statement" | sort >"$vault/named"
grep -q other "$vault/named" && fail "files of another account are named: $(cat "$vault/named")"
lie_open MARK-acme >"$vault/found"
[ "$(wc -l <"$vault/found")" -ge 5 ] || fail "the search finds nothing: $(cat "$vault/found")"
comm -13 "$vault/named" "$vault/found" >"$vault/unnamed"
[ ! -s "$vault/unnamed" ] || fail "not named: $(cat "$vault/unnamed"); named: $(cat "$vault/named")"
lie_open MARK-other | grep -q '^other/live.wav$' || fail "the search finds no other account's audio"

# Its names are kept nowhere
grep -raqE 'linked.wav|copy.wav.part' "$state" "$vault/keeper.log" && fail "a path of the statement was kept"

# What is closed later goes into quarantine, and the next plan says that somebody has to look there
exec 7>&-
quarantined() { list_holds 'any(.[]; .state == "quarantined")'; }
wait_until 30 quarantined
expect 0 ctl shred account other --dry-run
says "$vault/out" 'other/live.wav' 'not reached +1 recording in quarantine'
exec 8>&-
wait_until 30 list_holds '[.[] | select(.account == "other")] | length == 2'

# A spool of many files: the answer lists some, and counts the others
mkdir "$spool/crowd"
for i in $(seq 300); do
	echo "$i" >"$spool/crowd/$i.part"
done
drop "$vault/other.wav" crowd/call.wav
wait_until 30 list_holds 'any(.[]; .account == "crowd")'
expect 0 ctl shred account crowd --dry-run --json
holds '.spools[0] | .files == 300 and (.entries | length == 20) and .looked' "$vault/out" || fail "crowd: $(cat "$vault/out")"
expect 0 ctl shred account crowd --dry-run
says "$vault/out" 'and 280 more files'
stop_vault
echo "PASS: nothing is left that the statement did not name"
