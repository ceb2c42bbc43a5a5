#!/bin/bash
# Goal: killed between the rename of a sealed recording to its private name and its removal, the intake knows it
# again: nothing is lost, nothing sealed twice, nothing left behind.
# What the private name says beside the file's own is not believed: with other digits it is known all the same, by its
# content. Negative control: a copy of the file, under a name of that form, is another file, and is sealed.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq strace

LONG=$(printf 'n%.0s' {1..251}).wav
FILES=(1.wav 2.wav 3.wav $'new\nline.wav' "$LONG")
left_aside() { find "$spool" -type f -name '.recseal-*'; }
killed() { ! kill -0 "$intake_pid" 2>/dev/null; }
nothing_waits() { spool_is_empty && status_holds '.spool.waiting == 0'; }

# die_removing N: starts an intake that is killed when it is about to remove its Nth recording
die_removing() {
	strace -f -qq -o "$vault/trace" -e trace=unlinkat -e "inject=unlinkat:signal=KILL:when=$1" \
		"$BUILD/recseald" --state "$state" --spool "$spool" >>"$vault/intake.log" 2>&1 &
	intake_pid=$!
	wait_until $PATIENCE_S killed
	wait "$intake_pid" 2>/dev/null
	intake_pid=''
}

start_keeper
meet_spool
kills=0 count=0
mkdir -p "$vault/source"
for n in 1 2 3 5; do
	for file in "${FILES[@]}"; do
		count=$((count + 1))
		make_wav "$vault/source/$count.wav" $((1000 + count))
		drop "$vault/source/$count.wav" "account-$n/$file"
	done
	die_removing $n
	[ -n "$(left_aside)" ] || fail "kill $n left nothing aside"
	kills=$((kills + 1))
	start_intake
	wait_until $PATIENCE_S nothing_waits
	stop_intake
done
list
holds "length == $count" || fail "$(jq length "$vault/list.json") recordings of $count files"
for ((i = 1; i <= count; i++)); do
	id=$(jq -r ".[] | select(.plaintext_bytes == $(stat -c %s "$vault/source/$i.wav")) | .id" "$vault/list.json")
	plays_as "$id" "$vault/source/$i.wav" || fail "recording $i plays differently"
done
holds '[.[] | select(.name == "1.wav")] | length == 4' || fail "names are lost"
holds 'all(.[]; .name | startswith(".recseal-") | not)' || fail "private names are in the catalog"

# The negative control
drop "$vault/source/1.wav" account-1/once-more.wav
die_removing 1
aside=$(left_aside)
[ -n "$aside" ] || fail "the last kill left nothing aside"
name=${aside##*/}
mv "$aside" "${aside%/*}/.recseal-${name:9:16}-0123456789abcdef-${name:43}"
start_intake
wait_until $PATIENCE_S nothing_waits
list
holds "length == $((count + 1))" || fail "it is not known under another private name"
drop "$vault/source/1.wav" "account-1/.recseal-${name:9:16}-0123456789abcdef-${name:43}"
wait_until $PATIENCE_S nothing_waits
list
holds "length == $((count + 2)) and ([.[] | select(.name == \"once-more.wav\")] | length == 2)" || fail "a copy is not sealed"
expect 0 ctl verify --all
stop_vault
echo "PASS: $kills kills between rename and removal, $count recordings, each once"
