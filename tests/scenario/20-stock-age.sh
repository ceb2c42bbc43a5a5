#!/bin/bash
# Goal: the stock age command opens a sealed recording byte by byte, by way of age-plugin-recseal and the keeper; and
# what was changed in any place, cut or extended is refused by age, by verify and by play alike.
# Negative control: every attack is undone again, and the object then passes.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq age

CHUNK=65552 # 64 KiB and a tag
PATH=$BUILD:$PATH

# Of a failure, age may have written the chunks before it, never others: nothing forged comes out.
age_refuses() {
	age -d -j recseal "$1" >"$vault/plain" 2>"$vault/err" && return 1
	cmp -s -n "$(stat -c %s "$vault/plain")" "$vault/plain" "$2"
}

# tampered WHAT: the object, changed at this moment, is refused three times
tampered() {
	age_refuses "$object" "$source" || fail "$1: age opens it, or lets forged bytes out"
	ctl verify "$id" >"$vault/out" 2>"$vault/err" && fail "$1: verify finds nothing"
	says "$vault/out" '1 damaged'
	ctl play "$id" --reason test -o "$vault/forged" >"$vault/out" 2>"$vault/err"
	[ $? -eq 1 ] || fail "$1: play is content"
	[ ! -e "$vault/forged" ] || fail "$1: play left a file"
}

flipped() {
	flip_byte "$object" "$1"
	tampered "a changed byte at $1 ($2)"
	flip_byte "$object" "$1"
}

resized() {
	cp "$object" "$vault/whole"
	truncate -s "$1" "$object"
	tampered "resized to $1 ($2)"
	cp "$vault/whole" "$object"
}

intact() {
	age -d -j recseal "$object" 2>"$vault/err" | cmp - "$source" || fail "age does not open $id: $(cat "$vault/err")"
	expect 0 ctl verify "$id"
	plays_as "$id" "$source" || fail "$id plays differently"
}

# Three full chunks and a bit; exactly two chunks; a single one
make_wav "$vault/long.wav" $((3 * 65536 + 1234))
make_wav "$vault/exact.wav" $((2 * 65536 - 44))
make_wav "$vault/small.wav" 400
start_vault
for each in long exact small; do drop "$vault/$each.wav" "acme/$each.wav"; done
wait_sealed
list
for each in long exact small; do
	id=$(id_of "acme/$each.wav") object=$(object_of "$id") source=$vault/$each.wav
	intact
	chmod u+w "$object"
done

# Every region of a long one: each header line, the MAC, the nonce, chunks, and the ends of them
id=$(id_of acme/long.wav) object=$(object_of "$id") source=$vault/long.wav
size=$(stat -c %s "$object")
header=0 lines=0
while IFS= read -r line; do
	flipped $((header + ${#line} / 2)) "header line $((++lines))"
	flipped $((header + ${#line})) "the end of header line $lines"
	header=$((header + ${#line} + 1))
	case $line in ---*) break ;; esac
done < <(LC_ALL=C tr -c '[:print:]\n' '?' <"$object")
[ "$lines" -ge 6 ] || fail "a header of $lines lines?"
flipped $((header - 44)) "the first character of the MAC"
flipped "$header" "the nonce"
flipped $((header + 15)) "the nonce's end"
payload=$((header + 16))
for at in 0 $((CHUNK - 1)) $CHUNK $((2 * CHUNK - 100)) $((3 * CHUNK)) $((size - payload - 1)); do
	flipped $((payload + at)) "payload byte $at"
done
for cut in 0 10 $((header - 1)) "$header" $((payload - 1)) "$payload" $((payload + CHUNK)) $((payload + 3 * CHUNK)) $((size - 1)); do
	resized "$cut" "cut short"
done
resized $((size + 1)) "one zero byte more"
printf 'x' >>"$object"
tampered "one byte appended"
truncate -s "$size" "$object"
intact

# Chunks in another order; another recording's payload, and another's whole object, under this name
cp "$object" "$vault/whole"
dd if="$vault/whole" of="$object" bs=1 count=0 seek="$size" conv=notrunc status=none
dd if="$vault/whole" of="$object" iflag=skip_bytes,count_bytes oflag=seek_bytes conv=notrunc status=none \
	skip="$payload" count=$CHUNK seek=$((payload + CHUNK))
tampered "the first chunk in place of the second"
cp "$vault/whole" "$object"
exact=$(object_of "$(id_of acme/exact.wav)")
exact_payload=$(($(stat -c %s "$exact") - 2 * CHUNK))
{
	head -c "$payload" "$vault/whole"
	tail -c +$((exact_payload + 1)) "$exact"
} >"$object"
tampered "another recording's payload"
cp "$exact" "$object"
expect 1 ctl verify "$id"
expect 1 ctl play "$id" --reason test -o "$vault/forged"
cp "$vault/whole" "$object"
intact

# Cut at the edge of a chunk, where only the last-chunk flag tells
id=$(id_of acme/exact.wav) object=$exact source=$vault/exact.wav
resized $((exact_payload + CHUNK)) "the last of two full chunks is missing"
intact

# Every byte of a small one
id=$(id_of acme/small.wav) object=$(object_of "$id") source=$vault/small.wav
size=$(stat -c %s "$object")
read -r -d '' -a bytes < <(od -An -v -tu1 "$object")
[ ${#bytes[@]} -eq "$size" ] || fail "read ${#bytes[@]} bytes of $size"
for ((at = 0; at < size; at++)); do
	put_byte "$object" $at $((bytes[at] ^ (1 << at % 8)))
	ctl verify "$id" >"$vault/out" 2>"$vault/err" && fail "a changed byte at $at of $size is not found"
	put_byte "$object" $at "${bytes[at]}"
done
intact
expect 0 ctl verify --all

# Nobody to ask: age says so
stop_vault
age -d -j recseal "$object" >"$vault/plain" 2>"$vault/err" && fail "age opens it without a keeper"
[ ! -s "$vault/plain" ] || fail "age writes something without a keeper"
says "$vault/err" 'keeper'
echo "PASS: age opens what is whole; $((size + 40)) forgeries refused"
