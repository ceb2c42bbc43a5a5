#!/bin/bash
# Goal: `spool plan` says before the first start what becomes of every file of a tree as FusionPBX, Jitsi and
# BigBlueButton leave it, without any service and without a trace; a spool that held files when the vault met it waits
# until somebody accepts it, also across restarts; then exactly what the plan said happens, file by file; and the word is
# for that folder only.
# Negative control: an empty spool and one with FirstStart=take need no word, and a plan is not what happens once a file
# was changed behind it.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

fusion=$vault/fusion jitsi=$vault/jitsi bbb=$vault/bbb fresh=$vault/fresh taken=$vault/taken
markers=$vault/recording
room=0123456789abcdef0123456789abcdef01234567
mkdir -p "$fresh" "$taken/acme" "$markers/status/archived"

# put FILE [BYTES]: of noise, an hour old
put() {
	mkdir -p "${1%/*}"
	noise "$1" "${2:-700}"
	touch -d '1 hour ago' "$1"
}

# FusionPBX: calls below <domain>/archive, greetings and music beside them
put "$fusion/acme.example/archive/2026/Nov/23/9f1c2a.wav"
put "$fusion/acme.example/archive/2026/Nov/23/9f1c2b.mp3"
put "$fusion/globex.example/archive/2026/Oct/01/77aa01.wav"
put "$fusion/acme.example/recording1.wav"
put "$fusion/acme.example/.cache/rendered.wav"
put "$fusion/acme.example/archive/2026/Nov/23/upload.wav.part"
put "$fusion/notes.txt"
put "$fusion/linked.wav"
ln "$fusion/linked.wav" "$vault/second-name.wav"
ln -s /etc/hostname "$fusion/link.wav"
mkfifo "$fusion/pipe.wav"
: >"$fusion/acme.example/archive/2026/Nov/23/begun.wav"
put "$fusion/$(printf 'odd\033[31m').wav"
put "$fusion/acme.example/archive/2026/Nov/23/open.wav"
exec 7>>"$fusion/acme.example/archive/2026/Nov/23/open.wav"

# Jitsi: a folder for each session; metadata.json comes at its end
put "$jitsi/s1/standup_2026-11-23-10-00-00.mp4"
put "$jitsi/s1/standup_2026-11-23-11-00-00.mp4"
printf '{"participants":["ann"]}' >"$jitsi/s1/metadata.json"
put "$jitsi/s2/retro_2026-11-24-10-00-00.mp4"
printf '{}' >"$vault/lone"
mkdir -p "$jitsi/s3"
cp "$vault/lone" "$jitsi/s3/metadata.json"
put "$jitsi/s3/readme.txt"

# BigBlueButton: finished once archived; a meeting that nobody wanted recorded has .norecord
put "$bbb/$room-1764000000001-1764000000100.opus"
put "$bbb/$room-1764000000002-1764000000200.opus"
put "$bbb/$room-1764000000003-1764000000300.opus"
: >"$markers/status/archived/$room-1764000000001.done"
: >"$markers/status/archived/$room-1764000000003.norecord"
put "$bbb/other.webm"
put "$bbb/events.xml"

put "$taken/acme/old.wav"
cat >"$vault/recseal.conf" <<END
[spool fusion]
Path=$fusion
Profile=freeswitch

[spool jitsi]
Path=$jitsi
Profile=jibri

[spool bbb]
Path=$bbb
Profile=bbb
Markers=$markers
Discarded=delete

[spool fresh]
Path=$fresh

[spool taken]
Path=$taken
FirstStart=take

[intake]
Rescan=1s
END

# --- The plan, before anything runs ---

snapshot() { (cd "$vault" && find fusion jitsi bbb recording -printf '%p %i %s %A@ %C@ %T@ %n\n' | sort); }
plan() { # NAME: in $vault/NAME.plan
	expect 0 "$BUILD/recsealctl" --socket "$vault/nowhere" spool plan "$1" --config "$vault/recseal.conf" --json
	cp "$vault/out" "$vault/$1.plan"
}
fate() { # NAME PATH FATE ACCOUNT
	holds "[.files[] | select(.path == \"$2\")] == [.files[] | select(.path == \"$2\" and .fate == \"$3\"
		and .account == $4)] and any(.files[]; .path == \"$2\")" "$vault/$1.plan" ||
		fail "$1: $2 is not planned as $3 for $4: $(cat "$vault/$1.plan")"
}
snapshot >/dev/null # reading the folders once moves their access times
if is_root; then quiet=yes; else quiet=no; fi
snapshot >"$vault/before"
for name in fusion jitsi bbb; do plan $name; done
snapshot >"$vault/after"
[ $quiet = no ] || cmp -s "$vault/before" "$vault/after" ||
	fail "a plan leaves traces: $(diff "$vault/before" "$vault/after")"
[ ! -e "$state" ] || fail "a plan makes a state"

day=acme.example/archive/2026/Nov/23
fate fusion $day/9f1c2a.wav taken '"acme.example"'
fate fusion $day/9f1c2b.mp3 taken '"acme.example"'
fate fusion globex.example/archive/2026/Oct/01/77aa01.wav taken '"globex.example"'
fate fusion $day/upload.wav.part ignored null
fate fusion acme.example/.cache ignored null
fate fusion notes.txt refused null
fate fusion linked.wav refused null
fate fusion link.wav refused null
fate fusion pipe.wav refused null
fate fusion $day/begun.wav waits null
fate fusion $day/open.wav waits null
fate jitsi s1/standup_2026-11-23-10-00-00.mp4 taken '"standup"'
fate jitsi s1/metadata.json taken '"standup"'
fate jitsi s2/retro_2026-11-24-10-00-00.mp4 waits null
fate jitsi s3/metadata.json ignored null
fate bbb $room-1764000000001-1764000000100.opus taken "\"$room\""
fate bbb $room-1764000000002-1764000000200.opus waits null
fate bbb $room-1764000000003-1764000000300.opus deleted null
fate bbb other.webm taken null
for name in fusion jitsi bbb; do
	holds '([.files[].bytes] | add) == ([.fates[].bytes] | add) and (.files | length) == ([.fates[].files] | add)' \
		"$vault/$name.plan" || fail "$name: the sums are not those of the files"
	# Every file of the tree has its line; folders only where nothing below them is looked at.
	(cd "${vault:?}/$name" && find . -name .cache -prune -print -o ! -type d -print | sed 's|^\./||' | LC_ALL=C sort) |
		sed 's/\x1b/\\x1b/' >"$vault/tree"
	jq -r '.files[].path' "$vault/$name.plan" | LC_ALL=C sort | cmp -s - "$vault/tree" ||
		fail "$name: the plan misses files: $(jq -r '.files[].path' "$vault/$name.plan" | sort | diff - "$vault/tree")"
done

# For people, and for a folder that is not configured; a name makes no colours.
expect 0 "$BUILD/recsealctl" spool plan "$fusion" --profile freeswitch --verbose
says "$vault/out" 'taken +acme\.example' '^globex\.example +1 ' 'symbolic link' 'Nothing was changed' 'odd\\x1b\[31m\.wav'
! grep -q "$(printf '\033')" "$vault/out" || fail "a name reaches the terminal"
expect 2 "$BUILD/recsealctl" spool plan "$fusion"
expect 1 "$BUILD/recsealctl" spool plan "$fusion" --profile nonesuch
expect 4 "$BUILD/recsealctl" spool plan nonesuch --config "$vault/recseal.conf"
expect 1 "$BUILD/recsealctl" spool plan "$vault/nonesuch" --profile bbb

# --- Until somebody says so, nothing is taken ---

(cd "$vault" && find fusion jitsi bbb ! -type d -printf '%p %i %s\n' | sort) >"$vault/before"
same() { (cd "$vault" && find fusion jitsi bbb ! -type d -printf '%p %i %s\n' | sort) | cmp -s - "$vault/before"; }
held() { # NAME...
	local name
	for name; do status_holds "any(.spools[]; .name == \"$name\" and .held.files > 0)" || return 1; done
}
sealed_from() { list_holds "any(.[]; .path == \"$1\" and .account == \"$2\")"; }

start_keeper
start_configured_intake
wait_until $PATIENCE_S held fusion jitsi bbb
mkdir "$fresh/acme"
make_wav "$fresh/acme/new.wav" 500
wait_until $PATIENCE_S sealed_from acme/new.wav acme
wait_until $PATIENCE_S sealed_from acme/old.wav acme
wait_until $PATIENCE_S status_holds '[.spools[] | select(.held == null) | .name] | sort == ["fresh", "taken"]'
wait_until $PATIENCE_S status_holds 'any(.warnings[]; test("spool plan fusion.*spool accept fusion"))'
expect 1 ctl doctor
says "$vault/out" 'CHANGE  spool fusion, first start: .*spool accept fusion'
says "$vault/intake.log" 'spool jitsi: .* held 6 files \(3 recordings\).*spool accept jitsi'

# What comes meanwhile waits too; neither a restart nor a crash is a word, nor what a bridge's user can write.
mkdir "$vault/aside"
mv "$jitsi"/* "$vault/aside/"
sleep 2 # a scan or two of an empty folder
mv "$vault/aside"/* "$jitsi/"
chmod -R o+r "$jitsi"
: >"$jitsi/.recseal-accepted"
rm "$jitsi/.recseal-accepted"
kill_keeper
start_keeper
wait_until $PATIENCE_S held fusion jitsi bbb
stop_vault
start_keeper
start_configured_intake
wait_until $PATIENCE_S held fusion jitsi bbb
sleep 2 # two more scans
same || fail "something was touched before anybody said so"
list_holds 'length == 2' || fail "something was sealed before anybody said so"

expect 2 ctl spool accept fusion
expect 2 ctl spool accept fusion --reason ' '
expect 4 ctl spool accept nonesuch --reason test
expect 3 ctl spool accept fresh --reason test
says "$vault/err" 'does not wait'
held fusion || fail "a refused word was taken for one"

# --- Then exactly that happens ---

put "$fusion/$day/late.wav"
touch -d '1 hour ago' "$jitsi/s1/metadata.json" "$markers/status/archived/"*
for name in fusion jitsi bbb; do plan $name; done
fate fusion $day/late.wav taken '"acme.example"'
for name in fusion jitsi bbb; do
	expect 0 ctl spool accept $name --reason "change 4711" --json
	holds ".spool == \"$name\" and .files > 0" "$vault/out"
done
as_planned() { # NAME: what is to go is gone, the rest is there
	jq -r '.files[] | select(.fate == "taken" or .fate == "deleted") | .path' "$vault/$1.plan" >"$vault/goes"
	jq -r '.files[] | select(.fate != "taken" and .fate != "deleted") | .path' "$vault/$1.plan" >"$vault/stays"
	while IFS= read -r path; do
		[ ! -e "$vault/$1/$(printf '%b' "$path")" ] || return 1
	done <"$vault/goes"
	while IFS= read -r path; do
		path=$vault/$1/$(printf '%b' "$path")
		[ -e "$path" ] || [ -L "$path" ] || fail "$1: $path was to stay, and is gone"
	done <"$vault/stays"
}
catalogued_as_planned() { # NAME: every recording, and no other, for its account
	jq -r '.files[] | select(.fate == "taken" and .recording) |
		.path + " " + (.account // "(quarantine)")' "$vault/$1.plan" | sort >"$vault/wanted"
	jq -r ".[] | select(.spool == \"$1\") | .path + \" \" + (if .state == \"quarantined\" then \"(quarantine)\"
		else .account end)" "$vault/list.json" | sort >"$vault/got"
	cmp -s "$vault/wanted" "$vault/got"
}
for name in fusion jitsi bbb; do
	wait_until $PATIENCE_S as_planned $name
done
sleep 2
list
for name in fusion jitsi bbb; do
	as_planned $name
	catalogued_as_planned $name || fail "$name: $(diff "$vault/wanted" "$vault/got")"
done
# The intake reports every few seconds.
wait_until $PATIENCE_S status_holds 'all(.spools[]; .held == null)'
says "$vault/keeper.log" 'spool fusion is accepted by order of uid'
# Control: the comparison notices a file that is somewhere else than planned.
jq '.files |= map(if .path == "notes.txt" then .fate = "taken" else . end)' "$vault/fusion.plan" >"$vault/other.plan"
ln -s fusion "$vault/other"
! as_planned other || fail "the comparison sees nothing"

# --- The word holds, and for that folder only ---

stop_vault
put "$jitsi/s5/later_2026-11-26-10-00-00.mp4"
printf '{}' >"$jitsi/s5/metadata.json"
touch -d '1 hour ago' "$jitsi/s5/metadata.json"
start_keeper
start_configured_intake
wait_until $PATIENCE_S sealed_from s5/later_2026-11-26-10-00-00.mp4 later
mv "$jitsi" "$vault/jitsi-first"
put "$vault/jitsi-next/s6/alien_2026-11-26-10-00-00.mp4"
printf '{}' >"$vault/jitsi-next/s6/metadata.json"
mv "$vault/jitsi-next" "$jitsi"
wait_until $PATIENCE_S held jitsi
sleep 2
[ -e "$jitsi/s6/alien_2026-11-26-10-00-00.mp4" ] || fail "another folder was taken without a word"
mv "$jitsi" "$vault/jitsi-next"
mv "$vault/jitsi-first" "$jitsi"
put "$jitsi/s7/again_2026-11-27-10-00-00.mp4"
printf '{}' >"$jitsi/s7/metadata.json"
touch -d '1 hour ago' "$jitsi/s7/metadata.json"
wait_until $PATIENCE_S sealed_from s7/again_2026-11-27-10-00-00.mp4 again
exec 7>&-
echo "PASS: planned, waited for a word, and then as planned"
