#!/bin/bash
# Goal: what a writer that was killed leaves in a spool is sealed byte by byte, and `show` says what is wrong with it and
# how much of it is there all the same.
# Negative control: the same writers, let finish, leave what is "ok" and says nothing.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq
A=$spool/acme
mkdir -p "$A"
KILL_AT=60000 # bytes of output, past every header
formats=()

# raw_pcm BYTES: noise at 8 kHz, 16 bit, mono
raw_pcm() { head -c "$1" /dev/urandom; }

# write_with PROGRAM FILE: what comes in raw, in the format that its name says
write_with() {
	case $1 in
	sox) exec sox -q -t raw -r 8000 -e signed -b 16 -c 1 - "$2" ;;
	ffmpeg) exec ffmpeg -nostdin -loglevel quiet -f s16le -ar 8000 -ac 1 -i - "$2" ;;
	flac) exec flac -s --force-raw-format --endian=little --sign=signed --channels=1 --bps=16 --sample-rate=8000 -o "$2" - ;;
	esac
}

grown() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -ge $KILL_AT ]; }

# leave_killed PROGRAM FILE: killed while it writes there, its input still coming
leave_killed() {
	local pid feeder
	mkfifo "$vault/feed"
	write_with "$1" "$2" <"$vault/feed" 2>/dev/null &
	pid=$!
	cat /dev/urandom >"$vault/feed" 2>/dev/null &
	feeder=$!
	wait_until $PATIENCE_S grown "$2"
	kill -KILL "$pid"
	wait "$pid" "$feeder" 2>/dev/null
	rm "$vault/feed"
	cp "$2" "$vault/${2##*/}"
}

leave_finished() {
	raw_pcm 320000 | write_with "$1" "$2" || fail "$1 does not write $2"
	cp "$2" "$vault/${2##*/}"
}

for each in sox:wav sox:w64 sox:aiff sox:au sox:caf sox:flac sox:ogg ffmpeg:wav ffmpeg:w64 ffmpeg:mp4 ffmpeg:webm ffmpeg:opus flac:flac; do
	command -v "${each%:*}" >/dev/null || continue
	formats+=("$each")
	leave_killed "${each%:*}" "$A/killed-${each%:*}.${each#*:}"
	leave_finished "${each%:*}" "$A/done-${each%:*}.${each#*:}"
done
[ ${#formats[@]} -gt 0 ] || skip "none of sox, ffmpeg and flac is installed"

start_keeper
start_intake
wait_until $PATIENCE_S accept_spool
wait_sealed
list
for each in "${formats[@]}"; do
	for how in killed "done"; do
		name=$how-${each%:*}.${each#*:}
		id=$(id_of "acme/$name")
		plays_as "$id" "$vault/$name" || fail "$name plays differently"
		expect 0 ctl show "$id" --json
		cp "$vault/out" "$vault/shown.json"
		expect 0 ctl show "$id"
		if [ $how = "done" ]; then
			holds '.condition == "ok" and (has("damage") or has("recoverable_s") or has("recoverable_bytes") | not)' "$vault/shown.json" ||
				fail "$name is not ok: $(jq -c . "$vault/shown.json")"
			grep -q recoverable "$vault/out" && fail "$name: something is recoverable of what is whole"
			continue
		fi
		holds '.condition == "damaged" and (.damage | length > 10) and .recoverable_bytes > 30000 and .recoverable_bytes < .plaintext_bytes' "$vault/shown.json" ||
			fail "$name is not damaged: $(jq -c . "$vault/shown.json")"
		says "$vault/out" 'damage +(never closed|cut off)' 'recoverable +[0-9].* of audio'
		case ${each#*:} in
		wav | w64 | aiff | au | caf) # uncompressed: 16000 bytes a second
			holds '(.recoverable_s * 16000 - .recoverable_bytes) | fabs < 2' "$vault/shown.json" || fail "$name: seconds and bytes differ"
			;;
		esac
	done
done
stop_vault
echo "PASS: ${#formats[@]} kinds of crash sealed as they are, and told"
