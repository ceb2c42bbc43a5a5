#!/bin/bash
# Goal: files as bridges leave them, with what lies beside them, end up sealed for the right account, once finished and
# not before; what the bridge said about them is sealed with them and leaves the spool; what is written on after it was
# sealed is a second recording that says which one it follows; and what never ends is told.
# Negative control: the words that must not be found in the vault are found in the spool before.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

jibri=$vault/jibri asterisk=$vault/asterisk meetings=$vault/meetings recording=$vault/recording
rtpengine=$vault/rtpengine livekit=$vault/livekit custom=$vault/custom
mkdir -p "$jibri" "$asterisk" "$meetings" "$recording/status/archived" "$rtpengine" "$livekit" "$custom"
printf 'board = Acme Ltd\n' >"$vault/rooms"
touch -d '1 hour ago' "$vault/rooms"
cat >"$vault/recseal.conf" <<END
[spool jibri]
Path=$jibri
Profile=jibri
StaleAfter=1s

[spool asterisk]
Path=$asterisk
Profile=asterisk
AccountMap=$vault/rooms

[spool meetings]
Path=$meetings
Profile=bbb
Markers=$recording

[spool calls]
Path=$rtpengine
Profile=rtpengine
Account=carrier

[spool livekit]
Path=$livekit
Profile=livekit

[profile pbx]
Files=/{tenant}/{call}.wav
Sidecar={stem}.txt
SidecarWait=1h
Account={meta.customer} {tenant}

[spool custom]
Path=$custom
Profile=pbx

[intake]
Rescan=1s
END
expect 0 "$BUILD/recseald" --state "$state" --config "$vault/recseal.conf" --check-config
start_keeper
start_configured_intake
spool=$vault # of the helpers below

gone() { [ ! -e "$1" ]; }
sealed_as() { # PATH FILTER: there is one such recording
	list_holds "[.[] | select(.path == \"$1\" and ($2))] | length == 1"
}

# Asterisk writes in place: a header with sizes of 0, audio, and the sizes at the end.
make_wav "$vault/call" 64000
exec 7>"$asterisk/confbridge-board-1764000000.wav"
head -c 44 "$vault/call" >&7
head -c 20000 <(tail -c +45 "$vault/call") >&7
cp "$vault/call" "$asterisk/confbridge-unknown-1764000001.wav"
wait_until $PATIENCE_S sealed_as confbridge-unknown-1764000001.wav '.state == "quarantined"'
list
holds 'all(.[]; .path != "confbridge-board-1764000000.wav")' || fail "an open recording was sealed"
exec 7>&-
wait_until $PATIENCE_S sealed_as confbridge-board-1764000000.wav '.state == "sealed" and .account == "Acme Ltd"'

# The bridge goes on under the same name: a second recording, of what came since; the first is what it was.
first=$(id_of confbridge-board-1764000000.wav)
noise "$vault/more" 3000
cat "$vault/more" >>"$asterisk/confbridge-board-1764000000.wav"
follows() { list_holds "[.[] | select(.follows == \"$1\")] | length == 1"; }
wait_until $PATIENCE_S follows "$first"
second=$(jq -r ".[] | select(.follows == \"$first\") | .id" "$vault/list.json")
plays_as "$second" "$vault/more" || fail "what was written on plays differently"
expect 0 ctl show "$second"
says "$vault/out" "follows +$first"
holds ".[] | select(.id == \"$first\") | .follows == null and .state == \"sealed\"" || fail "the first has changed"

# Jibri: the video grows, then stays; only metadata.json finishes it. It is reported meanwhile.
words='https://meet.example.org/board#secret-board'
mkdir "$jibri/abcd"
noise "$jibri/abcd/board_2026-11-23-10-00-00.mp4" 5000
cp "$jibri/abcd/board_2026-11-23-10-00-00.mp4" "$vault/video"
wait_until $PATIENCE_S status_holds '[.spools[] | select(.name == "jibri")][0] | .stale == 1 and .oldest_stale_s > 0'
holds 'any(.warnings[]; test("still open, or not marked as finished"))' "$vault/status.json" || fail "status does not warn"
grep -q 'has not said that it is finished' "$vault/intake.log" || fail "the journal does not say it"
[ "$(grep -c 'has not said that it is finished' "$vault/intake.log")" -eq 1 ] || fail "it is told more than once"
echo "{\"meeting_url\":\"$words\",\"participants\":[{\"user\":{\"name\":\"Ada\"}}],\"share\":false}" >"$jibri/abcd/metadata.json"
grep -rqa secret-board "$jibri" || fail "the search finds nothing"
wait_until $PATIENCE_S gone "$jibri/abcd/metadata.json"
wait_until $PATIENCE_S sealed_as abcd/board_2026-11-23-10-00-00.mp4 '.account == "board" and .spool == "jibri"'
video=$(id_of abcd/board_2026-11-23-10-00-00.mp4)
plays_as "$video" "$vault/video" || fail "the video plays differently"
expect 0 ctl show "$video"
says "$vault/out" 'sidecar +abcd/metadata.json' "$words" Ada
expect 0 ctl show "$video" --json
holds '.sidecars[0].path == "abcd/metadata.json"' "$vault/out" || fail "show --json: $(cat "$vault/out")"
grep -rqa secret-board "$state" "$jibri" && fail "the sidecar lies in plaintext"
wait_until $PATIENCE_S status_holds 'all(.spools[]; .stale == 0)'

# BigBlueButton: not before the archive has it; what nobody asked to record is sealed, and says so.
room=183f0bf3a0982a127bdb8161e0c44eb696b3e75c
cp "$vault/call" "$meetings/$room-1554230749920-1554230750123.opus"
cp "$vault/call" "$meetings/$room-1554230749921-1554230750124.opus"
cp "$vault/call" "$meetings/$room-1554230749922-1554230750125.opus"
echo Archived >"$recording/status/archived/$room-1554230749920.done"
echo Archived >"$recording/status/archived/$room-1554230749921.norecord"
wait_until $PATIENCE_S sealed_as "$room-1554230749920-1554230750123.opus" ".account == \"$room\" and .discarded == null"
wait_until $PATIENCE_S sealed_as "$room-1554230749921-1554230750124.opus" '.discarded'
expect 0 ctl show "$(id_of "$room-1554230749921-1554230750124.opus")"
says "$vault/out" 'discarded +by its bridge'
[ -e "$meetings/$room-1554230749922-1554230750125.opus" ] || fail "taken before it was archived"
[ -e "$recording/status/archived/$room-1554230749920.done" ] || fail "a marker of the bridge is removed"

# rtpengine: its .meta belongs to it
call=17-ab@host-0123456789abcdef
printf 'CALL-ID\n10:\n17-ab@host\n\n\n' >"$rtpengine/$call.meta"
cp "$vault/call" "$rtpengine/$call-mix.wav"
wait_until $PATIENCE_S sealed_as "$call-mix.wav" '.account == "carrier"'
[ -e "$rtpengine/$call.meta" ] || fail "rtpengine's own file is removed"

# LiveKit: the manifest comes last
egress=standup-2026-11-23T100000.ogg
cp "$vault/call" "$livekit/$egress"
echo "{\"egress_id\":\"EG_x\",\"files\":[{\"filename\":\"$egress\",\"location\":\"/out/$egress\"}]}" >"$livekit/EG_x.json"
wait_until $PATIENCE_S sealed_as "$egress" '.account == "standup"'
wait_until $PATIENCE_S gone "$livekit/EG_x.json"
expect 0 ctl show "$(id_of "$egress")"
says "$vault/out" 'sidecar +EG_x.json'

# A profile of one's own; the sidecar comes late, and says whose it is. One that is none stops nothing.
mkdir "$custom/t1"
cp "$vault/call" "$custom/t1/a.wav"
ln -s /etc/passwd "$custom/t1/evil.txt"
cp "$vault/call" "$custom/t1/evil.wav"
wait_until $PATIENCE_S sealed_as t1/evil.wav '.account == "t1"'
[ -e "$custom/t1/a.wav" ] || fail "sealed without its sidecar"
[ -L "$custom/t1/evil.txt" ] || fail "a link was removed"
printf 'caller: 100\ncustomer: Globex\n' >"$custom/t1/a.txt"
wait_until $PATIENCE_S sealed_as t1/a.wav '.account == "Globex"'
wait_until $PATIENCE_S gone "$custom/t1/a.txt"

# What is shredded is gone with all of it.
expect 0 ctl shred account board --yes --reason test
expect 0 ctl show "$video"
grep -qE "metadata|$words" "$vault/out" && fail "a shredded recording still shows its sidecar"
expect 0 ctl verify --all

# No names in the journal
grep -aE 'secret-board|confbridge-|Ada|Globex|standup' "$vault"/*.log && fail "a log tells names"
stop_vault
echo "PASS: seven bridges' files"
