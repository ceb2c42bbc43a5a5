#!/bin/bash
# Goal: names are bytes. Whatever a bridge or a stranger calls a file or an account, it is sealed, found, played and
# shredded; what is printed is valid JSON and safe for a terminal; and no name reaches the log.
# Negative control: the search for control characters finds them in the names themselves.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

long=$(printf 'x%.0s' {1..251}).wav
[ ${#long} -eq 255 ] || fail "the long name is ${#long} long"
names=("$long" $'new\nline.wav' $'bad\xff\xfeutf8\xc3.wav' $'\e[2J\e]0;owned\a.wav' '-rf' '--all' 'quote"and\back.wav'
	"it's; \$(reboot) \`id\` %s%n.wav" ' space ' 'Ünïcødé 会議.wav' $'\u202egnp.wav' $'tab\tcr\r.wav' 'x.WAV' '*' $'\xc2\x9b31m.wav')
accounts=($'acc\xffount' $'\e[31mred' 'päpstliche Nuntiatur' "$(printf 'a%.0s' {1..255})")

start_vault
size=1000
for account in "${accounts[@]}"; do
	mkdir -p "$spool/$account" "$vault/source/$account" || fail "no such names here"
	for name in "${names[@]}"; do
		noise "$vault/source/$account/$name" $((size++))
		cp -- "$vault/source/$account/$name" "$spool/$account/$name"
	done
done
wait_sealed
n=$((${#accounts[@]} * ${#names[@]}))

# Each by its size, which nobody can misspell
list
[ "$(jq length "$vault/list.json")" -eq $n ] || fail "$(jq length "$vault/list.json") recordings of $n"
holds 'all(.[]; .state == "sealed")' || fail "not all are sealed"
find "$vault/source" -type f -print0 | while IFS= read -r -d '' file; do
	id=$(jq -r ".[] | select(.plaintext_bytes == $(stat -c %s -- "$file")) | .id" "$vault/list.json")
	plays_as "$id" "$file" || fail "$(printf '%q' "$file") plays differently"
done || exit 1
holds '[.[] | select(.name == "Ünïcødé 会議.wav")] | length == 4' || fail "an ordinary foreign name is spoilt"
holds '[.[] | select(.name == "-rf")] | length == 4' || fail "-rf is lost"

# Safe for a terminal: no control characters but newline, no bytes that are not UTF-8, no reordering marks
unsafe() { LC_ALL=C tr -d '\n' <"$1" | grep -aqP '[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]' || ! iconv -f utf-8 -t utf-8 <"$1" >"$vault/utf8" 2>&1; }
printf '%s\n' "${names[@]}" >"$vault/raw"
unsafe "$vault/raw" || fail "the search for unsafe bytes finds none"
first=$(jq -r '.[0].id' "$vault/list.json")
for command in 'list' 'account list' "show $first" 'list --json' 'account list --json' 'status' 'verify --all'; do
	# shellcheck disable=SC2086 # words
	expect 0 ctl $command
	unsafe "$vault/out" && fail "$command prints unsafe bytes"
done
for id in $(jq -r '.[].id' "$vault/list.json"); do
	ctl show "$id" || fail "show $id does not work"
done >"$vault/out"
unsafe "$vault/out" && fail "show prints unsafe bytes"
for log in "$vault"/*.log; do
	unsafe "$log" && fail "$log has unsafe bytes"
	grep -aiE 'reboot|owned|Nuntiatur|acc.?ount|\.wav' "$log" && fail "$log tells names"
done

# An account whose name nobody can type is reached by its handle, or by its printed name.
ctl account list --json >"$vault/accounts.json"
[ "$(jq length "$vault/accounts.json")" -ge 4 ] || fail "accounts: $(cat "$vault/accounts.json")"
handle=$(jq -r '.[] | select(.name // "" | test("xff")) | .handle' "$vault/accounts.json")
expect 0 ctl account show "$handle" --json
holds ".recordings.sealed == ${#names[@]}" "$vault/out" || fail "account show: $(cat "$vault/out")"
expect 0 ctl list --account "$handle" --json
[ "$(jq length "$vault/out")" -eq ${#names[@]} ] || fail "list --account HANDLE finds $(jq length "$vault/out")"
expect 0 ctl shred account "$handle" --yes --json --reason test
holds ".recordings == ${#names[@]}" "$vault/out" || fail "shred by handle: $(cat "$vault/out")"
list
holds "[.[] | select(.state == \"sealed\")] | length == $((n - ${#names[@]}))" || fail "another account suffered"
expect 0 ctl shred account 'päpstliche Nuntiatur' --yes --reason test
expect 0 ctl verify --all

# Neither names nor controls in what the caller gets wrong
expect 2 ctl account show $'\e[31mno such'
unsafe "$vault/err" && fail "an error message repeats controls"
expect 4 ctl show 01kaw5q7v3c2m9x0r8t4e6h1zn
expect 2 ctl account show $'\xff\xfe'
stop_vault
echo "PASS: $n names that nobody should use"
