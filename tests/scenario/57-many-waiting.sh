#!/bin/bash
# Goal: a spool with far more files than the intake remembers at once (FILES may be given) does not make it grow, keeps
# neither its own first recordings nor those of another spool waiting, and is emptied.
# Negative control: what the intake does remember, a few thousand files, shows in its memory.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq python3

FILES=${FILES:-40000} GROWTH_MAX_KIB=4096
printf '[spool main]\nPath=%s\nFirstStart=take\n[spool other]\nPath=%s\n' "$spool" "$vault/other" >"$vault/recseal.conf"
mkdir -p "$vault/other/acme"
python3 - "$spool" "$FILES" <<'END'
import os, sys
for i in range(int(sys.argv[2])):
    folder = f"{sys.argv[1]}/account-{i % 100}"
    if i < 100: os.mkdir(folder)
    with open(f"{folder}/call-{i}.wav", "w") as f: f.write(f"recording {i}")
END
peak_kib() { awk '/VmHWM/ { print $2 }' "/proc/$intake_pid/status"; }

start_keeper
mv "$spool" "$spool.crowded"
start_configured_intake
idle=$(peak_kib)
stop_intake
mv "$spool.crowded" "$spool"
start=$(date +%s%N)
start_configured_intake
sealed() { status_holds ".recordings.sealed >= $1"; }
wait_until $PATIENCE_S sealed 1
echo "the first of $FILES was sealed $((($(date +%s%N) - start) / 1000000)) ms after the start"

# Another spool, when the first one's queue is full
wait_until $PATIENCE_S sealed 500
make_wav "$vault/other.wav" 1000
cp "$vault/other.wav" "$vault/other/acme/other.wav"
gone() { [ ! -e "$vault/other/acme/other.wav" ]; }
wait_until $PATIENCE_S gone
left=$(find "$spool" -type f | wc -l)
[ "$left" -gt $((FILES / 4)) ] || fail "only $left files were left to wait for: that was no crowd"

growth=$(($(peak_kib) - idle))
[ $growth -lt $GROWTH_MAX_KIB ] || fail "the intake grew by $growth KiB from $idle KiB"
[ $growth -gt 256 ] || fail "what the intake remembers does not show: $growth KiB"
echo "$left files left, the intake $growth KiB larger than the $idle KiB of an idle one"

# The rest is only counted: sealing all of them takes its time
if [ "$FILES" -le 5000 ] || [ -n "${ALL-}" ]; then
	wait_until 3600 spool_is_empty
	wait_until $PATIENCE_S sealed $((FILES + 1))
fi
kill_intake
stop_keeper
echo "PASS: $FILES files waiting"
