#!/bin/bash
# Goal: a conference of three on a real Janus, recorded into a spool, is found sealed under its account, plays as speech and
# is as long as it was; while it lasts nothing is taken. A Janus that is killed in the middle leaves what is sealed too,
# its recording and the streams of the participants, with what is wrong and how many seconds are there.
# Negative control: silence is no speech; and what was killed is not ok.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq python3 ffmpeg janus
[ -e /usr/share/asterisk/sounds/en_US_f_Allison/demo-congrats.wav ] || skip "asterisk-core-sounds-en-wav is missing"
modules=$(dirname "$(find /usr/lib /usr/local/lib -name 'libjanus_audiobridge.so' -print -quit 2>/dev/null)" 2>/dev/null)
[ -e "$modules/libjanus_audiobridge.so" ] || skip "Janus's AudioBridge is missing"
[ -e "$modules/../transports/libjanus_pfunix.so" ] || skip "Janus's transport over Unix sockets is missing"
SPEAK_S=6
janus_pid=''
api=$vault/api

# Besides lib.sh's own
end_all() {
	local status=$?
	[ -n "$janus_pid" ] && kill -KILL "$janus_pid" 2>/dev/null
	(exit $status)
	cleanup
}
trap end_all EXIT

# start_janus [SETTING]: on loopback, with its API on a Unix socket; a setting of the AudioBridge
start_janus() {
	local conf=$vault/janus tries
	rm -rf "$conf" "$api"
	mkdir -p "$conf/plugins" "$conf/transports" "$conf/none"
	ln -s "$modules/libjanus_audiobridge.so" "$conf/plugins/"
	ln -s "$modules/../transports/libjanus_pfunix.so" "$conf/transports/"
	cat >"$conf/janus.jcfg" <<-END
		general: {
			configs_folder = "$conf"
			plugins_folder = "$conf/plugins"
			transports_folder = "$conf/transports"
			events_folder = "$conf/none"
			loggers_folder = "$conf/none"
			debug_level = 3
			debug_colors = false
			protected_folders = []
		}
		nat: { ice_enforce_list = "lo" }
	END
	cat >"$conf/janus.plugin.audiobridge.jcfg" <<-END
		general: {
			local_ip = "127.0.0.1"
			rtp_port_range = "20000-29999"
			$1
		}
	END
	cat >"$conf/janus.transport.pfunix.jcfg" <<-END
		general: {
			enabled = true
			json = "compact"
			path = "$api"
			type = "SOCK_SEQPACKET"
		}
	END
	# Its transport's thread ends at once when it runs before its starter has come to its last line, and Janus with it:
	# such a one is started again.
	for ((tries = 0; tries < 50; tries++)); do
		rm -f "$api"
		janus -F "$conf" -C "$conf/janus.jcfg" --interface=127.0.0.1 >>"$vault/janus.log" 2>&1 &
		janus_pid=$!
		wait_until $PATIENCE_S janus_answers_or_ended
		running "$janus_pid" && return
		wait "$janus_pid"
	done
	fail "janus ends, however often it is started"
}

# A bound socket alone is no answer.
janus_answers_or_ended() {
	running "$janus_pid" || return 0
	[ -S "$api" ] && python3 - "$api" 2>/dev/null <<-END
		import json, socket, sys
		api = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		api.settimeout(1)
		api.connect(sys.argv[1])
		api.send(json.dumps({"janus": "ping", "transaction": "1"}).encode())
		sys.exit(json.loads(api.recv(65536))["janus"] != "pong")
	END
}

room() {
	timeout 120 python3 "$(dirname "$0")/janus-room.py" "$api" "$@" 2>>"$vault/room.log"
}

# count_of ROOM: its recordings, of an account that may not be there yet
count_of() { ctl list --json | jq "[.[] | select(.account == \"$1\")] | length"; }

# running PID: a child that has ended is there until it is waited for
running() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	[[ ${stat##*) } != Z* ]]
}

# One spool by folders, and one that knows Janus's names, where that profile is there. The account is the room's number.
profiles=(directory)
cat >"$vault/probe.conf" <<-END
	[spool probe]
	Path=$spool
	Profile=janus
END
"$BUILD/recseald" --config "$vault/probe.conf" --check-config >/dev/null 2>&1 && profiles+=(janus)
for profile in "${profiles[@]}"; do
	mkdir -p "$spool/$profile"
	printf '[spool %s]\nPath=%s\nProfile=%s\n' "$profile" "$spool/$profile" "$profile" >>"$vault/recseal.conf"
done
start_keeper
start_configured_intake

# folder_for PROFILE ROOM: where such a room is to be recorded
folder_for() {
	case $1 in
	directory) echo "$spool/directory/$2" ;;
	*) echo "$spool/$1" ;;
	esac
}

# --- Whole conferences ---

start_janus 'record_tmp_ext = "tmp"'
number=4710
for profile in "${profiles[@]}"; do
	number=$((number + 1))
	folder=$(folder_for "$profile" $number)
	mkdir -p "$folder"
	room $number "$folder" hold $SPEAK_S >"$vault/elapsed" &
	call=$!
	under_way() { [ -n "$(find "$folder" -name '*.tmp' -size +32k)" ] || ! running "$call"; }
	wait_until $PATIENCE_S under_way
	list
	holds "all(.[]; .account != \"$number\")" || ! running "$call" || fail "a recording was taken while it was made"
	wait "$call" || fail "the conference failed: $(cat "$vault/room.log")"
	sealed() { list_holds "any(.[]; .account == \"$number\")"; }
	wait_until $PATIENCE_S sealed
	gone() { [ -z "$(find "$folder" -type f -print -quit)" ]; }
	wait_until $PATIENCE_S gone
	elapsed=$(cat "$vault/elapsed")
	jq ".[] | select(.account == \"$number\")" "$vault/list.json" >"$vault/one.json"
	jq -es length "$vault/one.json" | grep -qx 1 || fail "not one recording: $(jq -c . "$vault/one.json")"
	holds ".state == \"sealed\" and .condition == \"ok\" and .spool == \"$profile\" and .sample_rate == 16000" "$vault/one.json" ||
		fail "it is not sealed as it should be: $(jq -c . "$vault/one.json")"
	# The room had participants for as long as they spoke, except for what Janus buffers first.
	holds ".duration_s > $SPEAK_S - 1 and .duration_s < $elapsed + 1" "$vault/one.json" ||
		fail "it is $(jq .duration_s "$vault/one.json") s long, of a room of $elapsed s"
	id=$(jq -r .id "$vault/one.json")
	expect 0 ctl play "$id" --reason scenario -o "$vault/$profile.wav"
	[ "$(stat -c %s "$vault/$profile.wav")" -eq "$(jq .plaintext_bytes "$vault/one.json")" ] || fail "it plays to another length"
	loud=$(room 0 - check "$vault/$profile.wav")
	jq -en "$loud > 0.3" >/dev/null || fail "there is hardly any speech: $loud"
done
kill -TERM "$janus_pid"
wait "$janus_pid"
janus_pid=''

# Silence of the same length is told from speech.
{
	wav_header 192000
	head -c 192000 /dev/zero
} >"$vault/silence.wav"
jq -en "$(room 0 - check "$vault/silence.wav") == 0" >/dev/null || fail "silence passes for speech"

# --- Killed in the middle, recording in place: the kernel alone tells that it is not finished ---

for profile in "${profiles[@]}"; do
	number=$((number + 1))
	folder=$(folder_for "$profile" $number)
	mkdir -p "$folder"
	start_janus ''
	room $number "$folder" kill "$janus_pid" >"$vault/elapsed" &
	call=$!
	under_way() { [ "$(find "$folder" -type f -size +16k | wc -l)" -eq 4 ] || ! running "$janus_pid"; }
	wait_until $PATIENCE_S under_way
	[ "$(count_of $number)" = 0 ] || ! running "$janus_pid" || fail "a recording was taken while it was made"
	wait "$call" || fail "the conference failed: $(cat "$vault/room.log")"
	wait "$janus_pid" 2>/dev/null
	janus_pid=''
	elapsed=$(cat "$vault/elapsed")
	all_sealed() { [ "$(count_of $number)" = 4 ]; }
	wait_until $PATIENCE_S all_sealed
	list --account $number
	holds 'all(.[]; .state == "sealed" and .duration_s > 1 and .duration_s < '"$elapsed"' + 1)' ||
		fail "lengths or states are wrong: $(jq -c . "$vault/list.json")"
	holds 'any(.[]; .format == "wav/pcm_s16le" and .condition == "damaged" and (.damage | test("never closed|claims only")) and .recoverable_s > 1)' ||
		fail "the room's recording: $(jq -c . "$vault/list.json")"
	for codec in opus pcma pcmu; do
		# A stream that happens to end where a packet does is whole.
		holds "[.[] | select(.format == \"mjr/$codec\")] | length == 1 and (.[0].condition | test(\"^(ok|damaged)$\"))" ||
			fail "the stream of $codec: $(jq -c . "$vault/list.json")"
	done
	expect 0 ctl show "$(jq -r '.[] | select(.format == "wav/pcm_s16le") | .id' "$vault/list.json")"
	says "$vault/out" 'damage +(never closed|header claims only)' 'recoverable +[0-9]'
done
expect 0 ctl verify --all
stop_vault
echo "PASS: real conferences by profile ${profiles[*]}"
