#!/bin/bash
# Goal: real telephone audio, dropped into three accounts, is sealed to the last file; every recording plays back byte
# by byte as it came; the catalog says all it promises; and names and audio are nowhere in the state directory.
# Negative control: the search for names and audio finds both when they are planted.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq dpkg

N=500
accounts=('Quagmire Telephony' 'bergström-söhne' 'zx81kanzlei')
dpkg -L asterisk-core-sounds-en-wav 2>/dev/null | grep '\.wav$' | head -n $N >"$vault/prompts"
[ "$(wc -l <"$vault/prompts")" -eq $N ] || skip "fewer than $N prompts (Debian package asterisk-core-sounds-en-wav)"

# As account/folder/name.wav below a folder; prints these paths.
lay_out() {
	local i=0 prompt path
	while read -r prompt; do
		path=${accounts[i++ % 3]}/${prompt#*/en*/}
		[ -d "$1/${path%/*}" ] || mkdir -p "$1/${path%/*}"
		cp "$prompt" "$1/$path"
		printf '%s\n' "$path"
	done
}

# The audio of a file, 16 bytes out of its middle, in hexadecimal; nothing for silence.
audio_of() {
	local hex
	hex=$(od -An -v -tx1 -j $(($(stat -c %s "$1") / 2)) -N 16 "$1" | tr -d ' \n')
	[ "$(fold -w 2 <<<"$hex" | sort -u | wc -l)" -lt 10 ] || echo "$hex"
}

# What of the patterns lies open below a folder, in contents or names of files.
names_in() {
	{
		find "$1"
		find "$1" -type f -exec cat {} +
	} | LC_ALL=C grep -aoF -f "$vault/names" | sort -u
}
audio_in() {
	find "$1" -type f -exec cat {} + | od -An -v -tx1 | tr -d ' \n' | LC_ALL=C grep -oF -f "$vault/audio" | sort -u
}

lay_out "$vault/source" <"$vault/prompts" >"$vault/paths"
start_vault
cp -r "$vault/source/." "$spool/"
wait_sealed
list

# Complete, and nothing twice
diff <(sort "$vault/paths") <(jq -r '.[].path' "$vault/list.json" | sort) >"$vault/diff" ||
	fail "the catalog is not what was dropped: $(head "$vault/diff")"
jq -r '.[] | [.id, .path, .plaintext_bytes] | @tsv' "$vault/list.json" >"$vault/table"
while IFS=$'\t' read -r id path bytes; do
	plays_as "$id" "$vault/source/$path" || fail "$path plays differently"
	[ "$bytes" -eq "$(stat -c %s "$vault/source/$path")" ] || fail "$path: plaintext_bytes is $bytes"
done <"$vault/table"
expect 0 ctl verify --all --json
holds ".checked == $N and .ok == $N and .bad == []" "$vault/out" || fail "verify: $(cat "$vault/out")"
expect 0 ctl status --json
holds ".recordings.sealed == $N and .accounts.open == 3 and .assurance == \"file\" and .epoch == 1
	and .last_error == null and .exposure_s.p50 > 0 and .exposure_s.p99 >= .exposure_s.p50" "$vault/out" ||
	fail "status: $(cat "$vault/out")"
wait_until $PATIENCE_S status_holds '.spool.waiting == 0 and .spool.oldest_unsealed_s == null'

# Every documented field, with sense
# shellcheck disable=SC2016 # the variables are jq's
holds 'def time: type == "string" and test("^20[0-9-]{8}T[0-9:.]+Z$");
	all(.[]; (.id | test("^[0-9a-hjkmnp-tv-z]{26}$")) and (.account | type == "string") and .state == "sealed"
	and .condition == "ok" and .class == "default" and (.recorded_at | time) and (.sealed_at | time)
	and (.expires_at | time) and .format == "wav/pcm_s16le" and .channels == 1 and .sample_rate == 8000
	and .sealed_bytes > .plaintext_bytes and (.duration_s - (.plaintext_bytes - 44) / 16000 | fabs) < 0.01
	and .spool == "default" and (.name as $n | .path | endswith("/" + $n))
	and (.account as $a | .path | startswith($a + "/")))' ||
	fail "a field is missing or odd, for example: $(jq -c '.[0]' "$vault/list.json")"

# Nothing lies open
{
	printf '%s\n' "${accounts[@]}"
	sed 's,.*/,,' "$vault/paths" | grep -E '.{9}'
} | sort -u >"$vault/names"
sed -n '0~5p' "$vault/paths" | while read -r path; do audio_of "$vault/source/$path"; done >"$vault/audio"
[ "$(wc -l <"$vault/audio")" -gt $((N / 10)) ] || fail "too little audio to search for"
found=$(names_in "$state") && fail "names lie open: $(head -n 3 <<<"$found")"
audio_in "$state" >"$vault/found" && fail "audio lies open"

mkdir -p "$vault/planted/names" "$vault/planted/audio"
tail -n 1 "$vault/names" >"$vault/planted/names/some.db"
names_in "$vault/planted/names" >"$vault/found" || fail "the search for names finds none"
sed -n '0~5p' "$vault/paths" | head -n 10 | while read -r path; do cp "$vault/source/$path" "$vault/planted/audio/"; done
audio_in "$vault/planted/audio" >"$vault/found" || fail "the search for audio finds none"
stop_vault
echo "PASS: $N recordings sealed, played, verified; nothing lies open"
