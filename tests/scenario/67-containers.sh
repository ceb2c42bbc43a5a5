#!/bin/bash
# Goal: the label of a file of any kind that bridges and converters write says how long it is, to a frame, or that this
# is not known; of what was cut, how much is there; and never "ok" with the first part of what was appended. This runs a
# part of the battery (./dev battery runs all of it), and looks at what the catalog makes of some.
# Negative control: of a probe that reports half of every length the battery finds every line wrong that says one.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq python3 ffmpeg
battery=$(dirname "$0")/../battery/battery.py

# run_battery OPTION...: its table is in $vault/table
run_battery() {
	python3 "$battery" "$BUILD/recseal-probe" "$@" >"$vault/table" 2>&1
}

run_battery --keep "$vault/files" --only ffmpeg/mp4 ffmpeg/m4a ffmpeg/webm ffmpeg/mka mkvmerge sox/w64 sox/au sox/caf sox/flac opusenc ||
	fail "$(grep -v ' right$' "$vault/table")"
tail -n 1 "$vault/table"
run_battery --control half --only ffmpeg/mp4-faststart ffmpeg/webm-live ffmpeg/mka-pcm && fail "half of a length is found right"
[ "$(grep -c 'WRONG: wrong length' "$vault/table")" -ge 12 ] || fail "half of a length is not found: $(cat "$vault/table")"
grep -E ' whole .* right$' "$vault/table" && fail "half of a whole file's length is found right"

# length_is NAME CONDITION SECONDS FIELD: as the catalog has it, within a frame
length_is() {
	expect 0 ctl show "$(id_of "acme/$1")" --json
	holds ".condition == \"$2\" and ((.$4 - $3) | fabs < 0.05)" "$vault/out" ||
		fail "$1 is not $2 with $3 s: $(jq -c '{condition, damage, duration_s, recoverable_s}' "$vault/out")"
}

start_vault
for name in whole-ffmpeg-webm-live1.webm whole-ffmpeg-mp4-video1.mp4 chained-ffmpeg-mp41.mp4 chained-ffmpeg-webm1.webm cut-ffmpeg-mp41.mp4; do
	drop "$vault/files/$name" "acme/$name"
done
wait_sealed
list
length_is whole-ffmpeg-webm-live1.webm ok 3.217 duration_s
length_is whole-ffmpeg-mp4-video1.mp4 ok 3.217 duration_s
length_is chained-ffmpeg-mp41.mp4 damaged 5.720 recoverable_s
length_is chained-ffmpeg-webm1.webm damaged 5.720 recoverable_s
expect 0 ctl show "$(id_of acme/cut-ffmpeg-mp41.mp4)" --json
holds '.condition == "damaged" and (.recoverable_s | not) and .recoverable_bytes > 0' "$vault/out" ||
	fail "an MP4 without its index has a length: $(cat "$vault/out")"
stop_vault
echo "PASS: lengths are right or not known"
