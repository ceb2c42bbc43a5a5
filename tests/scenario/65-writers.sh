#!/bin/bash
# Goal: the ways of writing that recseal.conf(5) describes give what it says, with the configuration that it gives. A writer
# that pauses, with its file open or closed, makes one recording; one that splits makes one of each segment; an upload in
# chunks is one recording, and one that never ends is reported; a converter finds its original and leaves its result.
# Negative control: without the longer Settle= a writer that closes its file and goes on makes two.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

pausing=$vault/pausing hasty=$vault/hasty chunks=$vault/chunks marked=$vault/marked converting=$vault/converting
mkdir -p "$pausing/acme" "$hasty/acme" "$chunks/acme" "$marked/acme" "$converting"
make_wav "$vault/call" 64000
make_wav "$vault/other" 64000
head -c 30000 "$vault/call" >"$vault/first"
tail -c +30001 "$vault/call" >"$vault/rest"
cat >"$vault/recseal.conf" <<END
[spool pausing]
Path=$pausing
Settle=6s

[spool hasty]
Path=$hasty

[spool chunks]
Path=$chunks
StaleAfter=2s

[profile uploaded]
Files=/{account}/**
Unfinished={name}.uploading
Account={account}

[spool marked]
Path=$marked
Profile=uploaded

[profile converted]
Files=*.(~mp3)
Ignore=*.(~wav)
Account=acme

[spool converting]
Path=$converting
Profile=converted
StaleAfter=3s

[intake]
Rescan=1s
END
expect 0 "$BUILD/recseald" --state "$state" --config "$vault/recseal.conf" --check-config
start_keeper
start_configured_intake

number() { # SPOOL N: so many recordings, and nothing else in the spool
	list_holds "[.[] | select(.spool == \"$1\")] | length == $2"
}
one_is() { # SPOOL FILE: the spool's only recording plays as the file
	list
	[ "$(jq "[.[] | select(.spool == \"$1\")] | length" "$vault/list.json")" -eq 1 ] || fail "$1: not one recording"
	plays_as "$(jq -r ".[] | select(.spool == \"$1\") | .id" "$vault/list.json")" "$2" || fail "$1 plays differently"
}

# Chunks, under a name that is not finished, and under the final name with a marker; one upload never ends.
cp "$vault/first" "$chunks/acme/call.wav.part"
cp "$vault/first" "$chunks/acme/broken.wav.part"
touch "$marked/acme/call.wav.uploading"
cp "$vault/first" "$marked/acme/call.wav"
# A pause with the file closed, where that is expected and where it is not; a converter that is still at work
cp "$vault/first" "$pausing/acme/call.wav"
cp "$vault/first" "$hasty/acme/call.wav"
cp "$vault/call" "$converting/call.wav"
exec 7>"$converting/call.mp3"
head -c 20000 "$vault/other" >&7
wait_until $PATIENCE_S number hasty 1
sleep 2
cat "$vault/rest" >>"$pausing/acme/call.wav"
cat "$vault/rest" >>"$hasty/acme/call.wav"
cat "$vault/rest" >>"$marked/acme/call.wav"
cat "$vault/rest" >>"$chunks/acme/call.wav.part"
mv "$chunks/acme/call.wav.part" "$chunks/acme/call.wav"
rm "$marked/acme/call.wav.uploading"
wait_until $PATIENCE_S number hasty 2
[ -e "$converting/call.wav" ] || fail "the original was taken from the converter"
number converting 0 || fail "a result was taken while it was written"
tail -c +20001 "$vault/other" >&7
exec 7>&-
rm "$converting/call.wav"
for name in pausing chunks marked converting; do
	wait_until $PATIENCE_S number $name 1
done
one_is pausing "$vault/call"
one_is chunks "$vault/call"
one_is marked "$vault/call"
one_is converting "$vault/other"

# What never ends is reported: an upload, and an original whose converter has died.
cp "$vault/call" "$converting/failed.wav"
wait_until $PATIENCE_S status_holds '[.spools[] | select(.ignored == 1) | .name] | sort == ["chunks", "converting"]'

# Segments: one recording each
for i in 00000 00001 00002; do
	noise "$hasty/acme/x_$i.ts" 3000
done
wait_until $PATIENCE_S number hasty 5
stop_vault
echo "PASS: pauses, segments, chunks, conversions"
