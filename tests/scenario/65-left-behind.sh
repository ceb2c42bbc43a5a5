#!/bin/bash
# Goal: whatever a bridge leaves is taken, or told of. Every format that Asterisk, FreeSWITCH and rtpengine write is sealed,
# by its own name and in the other case of letters. What FusionPBX plays to its callers stays, and is counted and told
# once. A file that is ignored by its name, or by Ignore=, is reported once it is old. A folder that a recording leaves empty
# goes, with EmptyFolders=remove and only then; one that its bridge has just made stays.
# Negative control: a file of no bridge stays and is reported as such; the folders of the other spool stay.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

# Asterisk's formats/*.c, FreeSWITCH's mod_sndfile.c and others, rtpengine's output.c and recording.c: profile_table.c
asterisk_formats='alaw al alw au g719 g722 g723 g723sf g726-16 g726-24 g726-32 g726-40 g729 gsm h263 h264 ilbc mp3 ogg pcm
ulaw ul mu ulw raw siren14 siren7 sln slin sln12 sln16 sln24 sln32 sln44 sln48 sln96 sln192 spx spx16 spx32 vox wav wav16
wav48 WAV wav49 MP3 SLN16'
freeswitch_formats='wav mp3 mp4 GSM G729 iLBC SPEEX OPUS AMR AMR-WB SILK G722 G7221 G723 PCMU PCMA L16 G726-32 AAL2-G726-32
BV16 CODEC2 au aiff w64 caf mov m4a mkv webm r8 r16 r24 r32 flac ogg oga vox ul al adpcm voc fsv Mp3'
rtpengine_formats='wav mp3 pcap WAV'

asterisk=$vault/asterisk fusion=$vault/fusion rtpengine=$vault/rtpengine kept=$vault/kept
domain=$fusion/acme.example.com
mkdir -p "$asterisk" "$domain/archive/2026/Nov/28" "$domain/moh/8000" "$rtpengine" "$kept/acme/2026"
make_wav "$vault/call" 1600
cat >"$vault/recseal.conf" <<END
[spool asterisk]
Path=$asterisk
FirstStart=take
Profile=asterisk
Account=pbx
StaleAfter=1s
Ignore=*.log

[spool fusion]
Path=$fusion
FirstStart=take
Profile=freeswitch
EmptyFolders=remove

[spool rtpengine]
Path=$rtpengine
FirstStart=take
Profile=rtpengine
Account=carrier

[spool kept]
Path=$kept
FirstStart=take

[intake]
Rescan=1s
END
expect 0 "$BUILD/recseald" --state "$state" --config "$vault/recseal.conf" --check-config

# put FOLDER PREFIX FORMATS: each with content of its own, so that none is taken for another
n=0
put() {
	local format
	for format in $3; do
		n=$((n + 1))
		{
			cat "$vault/call"
			echo $n
		} >"$1/$2.$format"
	done
}
put "$asterisk" c "$asterisk_formats"
put "$domain/archive/2026/Nov/28" c "$freeswitch_formats"
put "$rtpengine" call-0123456789abcdef-mix "$rtpengine_formats"
wanted=$n
mkdir -p "$asterisk/voicemail/default/100"
cp "$vault/call" "$asterisk/voicemail/default/100/unavail.wav"
cp "$vault/call" "$domain/recording47.wav"
cp "$vault/call" "$domain/ivr_welcome_2026.WAV"
cp "$vault/call" "$domain/moh/8000/theme.mp3"
cp "$vault/call" "$kept/acme/2026/call.wav"
for name in c.wav.tmp c.wav.part .nfs00ab .c.wav.x7Yq2 asterisk.log; do
	cp "$vault/call" "$asterisk/$name"
done
echo notes >"$asterisk/notes.doc"

start_keeper
start_configured_intake
sealed() { list_holds "length == $1"; }
wait_until $PATIENCE_S sealed $((wanted + 1))
list
holds 'all(.[] | select(.spool == "fusion"); .account == "acme.example.com")' || fail "the domain is not the account"

# Nothing of a format is left; what is played is.
left=$(find "$asterisk" "$rtpengine" "$domain/archive" -type f -name 'c*' ! -name '*.tmp' ! -name '*.part' -printf '%f ')
[ -z "$left" ] || fail "left in plaintext: $left"
for name in recording47.wav ivr_welcome_2026.WAV moh/8000/theme.mp3; do
	[ -e "$domain/$name" ] || fail "$name is taken from the PBX"
done
wait_until $PATIENCE_S status_holds '[.spools[] | select(.name == "fusion")][0] | .prompts == 3 and .refused == 0'
[ -e "$asterisk/voicemail/default/100/unavail.wav" ] || fail "a mailbox has lost its greeting"
wait_until $PATIENCE_S status_holds '[.spools[] | select(.name == "asterisk")][0] | .prompts == 1'
[ "$(grep -c 'spool fusion: 3 files beside the recordings' "$vault/intake.log")" -eq 1 ] || fail "the prompts are not told once"

# Ignored files are reported by number and inode, and no name is.
wait_until $PATIENCE_S status_holds '[.spools[] | select(.name == "asterisk")][0]
	| .ignored == 5 and .oldest_ignored_s >= 1 and .refused == 1'
holds 'any(.warnings[]; test("spool asterisk: 5 files are ignored"))' "$vault/status.json" || fail "status does not warn"
[ "$(grep -c 'ignored because of its name' "$vault/intake.log")" -eq 5 ] || fail "ignored files are not told once each"
inode=$(stat -c %i "$asterisk/.nfs00ab")
grep -q "inode $inode has been there for .* is ignored" "$vault/intake.log" || fail "inode $inode is not named"
grep -aE 'nfs00ab|x7Yq2|recording47|theme' "$vault"/*.log && fail "a log tells names"

# Empty folders, of the spool that wants it
folder_gone() { [ ! -e "$1" ]; }
mkdir "$fusion/new.example.com"
wait_until $PATIENCE_S folder_gone "$domain/archive/2026/Nov/28"
[ -d "$domain" ] || fail "a folder that is not empty went"
[ -d "$fusion/new.example.com" ] || fail "a folder that was just made went"
[ -d "$kept/acme/2026" ] || fail "folders go although nobody wants that"

stop_vault
echo "PASS: $wanted formats"
