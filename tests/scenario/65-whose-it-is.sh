#!/bin/bash
# Goal: what a bridge itself says of a recording goes before what its name looks like, so that a shred of the account takes
# it. LiveKit: the manifest's room, with a custom filepath template, for HLS segments, and in a manifest too large to be
# sealed. Jitsi: tenants whose rooms have one name do not share an account. A playlist that is written again after each
# segment is one recording, once that has ended.
# Negative control: without a manifest the name is believed; a shred of one tenant leaves the other's recording.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

livekit=$vault/livekit jibri=$vault/jibri
mkdir -p "$livekit/hls" "$livekit/long" "$jibri"/s{1,2,3,4}
make_wav "$vault/call" 1600
cat >"$vault/recseal.conf" <<END
[spool livekit]
Path=$livekit
FirstStart=take
Profile=livekit
SidecarWait=2s

[spool jibri]
Path=$jibri
FirstStart=take
Profile=jibri

[intake]
Rescan=1s
END
expect 0 "$BUILD/recseald" --state "$state" --config "$vault/recseal.conf" --check-config

# put PATH: with content of its own
n=0
put() {
	n=$((n + 1))
	{
		cat "$vault/call"
		echo $n
	} >"$1"
}
# manifest FILE ROOM NAME...: as egress writes it
manifest() {
	local file=$1 room=$2
	shift 2
	jq -nc --arg room "$room" '{egress_id: "EG", room_name: $room, publisher_identity: "alice",
		files: [$ARGS.positional[] | {filename: ., location: ("/out/" + .)}]}' --args "$@" >"$file"
}

# {room_name}-{publisher_identity}-{time}; a name without any time; a name of another room; no manifest at all
put "$livekit/acme-alice-2026-11-28T101010.ogg"
put "$livekit/final.mp4"
put "$livekit/globex-2026-11-28T101010.mp4"
put "$livekit/initech-2026-11-28T101010-1.mp4"
manifest "$livekit/EG_1.json" acme acme-alice-2026-11-28T101010.ogg final.mp4 globex-2026-11-28T101010.mp4
# segments, and what the egress's own name for them says without a manifest
put "$livekit/hls/x_00000.ts"
put "$livekit/hls/x_00001.ts"
manifest "$livekit/hls/EG_2.json" acme hls/x_00000.ts hls/x_00001.ts
put "$livekit/acme-2026-11-28T111111_00000.ts"
put "$livekit/acme-2026-11-28T111111_00001.jpeg"
# a manifest of some hours: larger than what can be sealed with a recording
segments=$(seq -f 'long/segment_%05g.ts' 0 600)
put "$livekit/long/segment_00600.ts"
# shellcheck disable=SC2086
manifest "$livekit/long/EG_3.json" acme $segments
[ "$(stat -c %s "$livekit/long/EG_3.json")" -gt 32768 ] || fail "the manifest is not large"

for pair in s1/one s2/two; do
	session=$jibri/${pair%/*} tenant=${pair#*/}
	put "$session/standup_2026-11-28-10-10-10.mp4"
	echo "{\"meeting_url\":\"https://meet.example.org/$tenant/standup#config.x=1\",\"participants\":[]}" >"$session/metadata.json"
done
put "$jibri/s3/standup_2026-11-28-10-10-10.mp4"
echo '{"meeting_url":"https://meet.example.org/standup","participants":[]}' >"$jibri/s3/metadata.json"
put "$jibri/s4/standup_2026-11-28-10-10-10.webm"
echo '{"participants":[]}' >"$jibri/s4/metadata.json"

start_keeper
start_configured_intake
sealed() { list_holds "length == $n"; }
wait_until $PATIENCE_S sealed

account_of() { # PATH ACCOUNT
	holds "[.[] | select(.path == \"$1\" and .account == \"$2\")] | length == 1" ||
		fail "$1 belongs to $(jq -r ".[] | select(.path == \"$1\") | .account" "$vault/list.json"), not to $2"
}
list
account_of acme-alice-2026-11-28T101010.ogg acme
account_of final.mp4 acme
account_of globex-2026-11-28T101010.mp4 acme
account_of initech-2026-11-28T101010-1.mp4 initech
account_of hls/x_00000.ts acme
account_of hls/x_00001.ts acme
account_of acme-2026-11-28T111111_00000.ts acme
account_of acme-2026-11-28T111111_00001.jpeg acme
account_of long/segment_00600.ts acme
account_of s1/standup_2026-11-28-10-10-10.mp4 one/standup
account_of s2/standup_2026-11-28-10-10-10.mp4 two/standup
account_of s3/standup_2026-11-28-10-10-10.mp4 standup
account_of s4/standup_2026-11-28-10-10-10.webm standup
gone() { [ ! -e "$1" ]; }
wait_until $PATIENCE_S gone "$livekit/EG_1.json"
wait_until $PATIENCE_S gone "$livekit/hls/EG_2.json"
[ -e "$livekit/long/EG_3.json" ] || fail "a manifest went that is sealed with no recording"
grep -q 'is too large for a sidecar' "$vault/intake.log" || fail "the large manifest is not told of"

# A playlist grows with each segment: it is not sealed again and again.
for i in 1 2 3 4 5; do
	echo "#EXTM3U $i" >"$livekit/acme-2026-11-28T111111.m3u8.new"
	mv "$livekit/acme-2026-11-28T111111.m3u8.new" "$livekit/acme-2026-11-28T111111.m3u8"
	sleep 0.5
done
list
holds "length == $n" || fail "a playlist was sealed while it was still written to"
stop_intake
stop_keeper

# One tenant's shred takes what is that tenant's.
start_keeper
expect 0 ctl shred account one/standup --yes --reason test
list
holds 'all(.[] | select(.account == "two/standup"); .state == "sealed")' || fail "the other tenant's recording went"
expect 0 ctl shred account acme --yes --reason test
list
holds '[.[] | select(.state == "sealed") | .account] | sort == ["initech", "standup", "standup", "two/standup"]' ||
	fail "not everything of the room went"
stop_keeper
echo "PASS: $n recordings"
