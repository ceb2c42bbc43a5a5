#!/bin/bash
# Goal: kill -9 of the keeper, the intake or both, at any moment and under load, loses no recording, doubles none and
# leaves nothing behind; and a shred that was confirmed before the kill stays done. SEED and KILLS may be given.
# Negative control: the check finds a lost and a doubled recording, a wrong byte and a shred undone when shown them.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq pgrep

SEED=${SEED:-20261123} KILLS=${KILLS:-60}
echo "seed $SEED, $KILLS kills"
cat >"$vault/recseal.conf" <<-END
	[spool load]
	Path=$spool
	FirstStart=take
	Settle=50ms
END
source=$vault/source
mkdir -p "$source" "$vault/shredded"

# Sessions of all daemons ever started: what is left of one at the end is a leftover.
PREFIX=(setsid)
sessions=()

# The sizes differ, so that also recordings whose path was shredded can be told apart.
size_of() {
	case $(($1 % 20)) in
	7) echo $((5000000 + $1)) ;;
	0 | 10) echo $((300000 + 1009 * $1)) ;;
	1 | 2 | 11 | 12) echo $((65536 + $1)) ;;
	*) echo $((100 + 37 * $1)) ;;
	esac
}

# Puts files into the spool until it is told to stop: moved there, copied, or written slowly. Those for a doomed
# account, sac-N, begin once N is announced.
feed() {
	local n=0 path
	RANDOM=$((SEED + 1))
	while [ -e "$vault/feeding" ] && [ $n -lt 1500 ]; do
		n=$((n + 1))
		path=account-$((RANDOM % 4))/call-$n.wav
		[ $((n % 6)) -ne 0 ] || path=sac-$(cat "$vault/doomed")/call-$n.wav
		mkdir -p "$source/${path%/*}" "$spool/${path%/*}"
		noise "$source/$path" "$(size_of $n)"
		case $((RANDOM % 3)) in
		0) drop "$source/$path" "$path" ;;
		1) cp "$source/$path" "$spool/$path" ;;
		2) {
			head -c 50 "$source/$path"
			sleep 0.0$((RANDOM % 10))
			tail -c +51 "$source/$path"
		} >"$spool/$path" ;;
		esac
		sleep 0.0$((RANDOM % 4))
	done
}

launch_keeper() {
	"${PREFIX[@]}" "$BUILD/recseal-keeper" --state "$state" >>"$vault/keeper.log" 2>&1 &
	keeper_pid=$!
	sessions+=("$!")
}

launch_intake() {
	"${PREFIX[@]}" "$BUILD/recseald" --state "$state" --config "$vault/recseal.conf" >>"$vault/intake.log" 2>&1 &
	intake_pid=$!
	sessions+=("$!")
}

# In the background, so that the kill may come before it, in it or after it.
shred() {
	if ctl shred account "sac-$1" --yes --reason test >"$vault/shred.out" 2>&1; then
		: >"$vault/shredded/sac-$1"
	fi
}

# once: the catalog without what was left behind. A kill between commit and removal, and then a shred, leave plaintext that
# nothing is left to compare with: it is sealed in quarantine, beside the destroyed recording that it names. Of each
# destroyed one there may be one such, of its size.
# shellcheck disable=SC2016 # jq's variables
ONCE='(map({key: .id, value: .}) | from_entries) as $by
	| map(. + {of: ((.quarantine_reason // "") | capture("may be the one of recording (?<id>[0-9a-z]+), which was destroyed").id // null)})
	| (map(select(.state == "quarantined" and .of and $by[.of].state == "destroyed"
		and $by[.of].plaintext_bytes == .plaintext_bytes)) | unique_by(.of) | map(.id)) as $left
	| map(select(.id as $id | $left | index($id) | not))'

# check LIST SHREDDED SOUND: complains of everything that is wrong with a catalog, by the sources. SOUND is a command
# that compares a recording with a file.
check() {
	local path id
	(cd "$source" && find . -name '*.wav' -printf '%s\n') | sort -n >"$vault/sizes"
	jq -r "$ONCE | .[].plaintext_bytes" "$1" | sort -n | diff "$vault/sizes" - >"$vault/diff" || echo "lost or doubled, by size: $(head -n 4 "$vault/diff")"
	(cd "$source" && find account-* -name '*.wav') | sort >"$vault/paths"
	jq -r '.[] | select(.path) | .path' "$1" | grep -v '^sac-' | sort | diff "$vault/paths" - >"$vault/diff" ||
		echo "lost or doubled: $(head -n 4 "$vault/diff")"
	jq -r '.[] | select(.path) | [.id, .path] | @tsv' "$1" | while read -r id path; do
		"$3" "$id" "$source/$path" || echo "$path plays differently: $(cat "$vault/err")"
	done
	for path in "$2"/sac-*; do
		[ -e "$path" ] || continue
		jq -e --arg a "${path##*/}" 'all(.[]; .account != $a)' "$1" >/dev/null || echo "${path##*/} was shredded, and is there again"
	done
}

# The feeder begins before anything runs.
echo 0 >"$vault/doomed"
: >"$vault/feeding"
feed &
feeder=$!
RANDOM=$SEED
early=0 busy=0 doomed=0
launch_keeper
launch_intake
for ((kill = 1; kill <= KILLS; kill++)); do
	# One in four in the middle of starting up; the others once all is at work
	if [ $((RANDOM % 4)) -eq 0 ]; then
		early=$((early + 1))
		sleep 0.0$((RANDOM % 10))
	else
		wait_until 60 keeper_ready
		wait_until 60 intake_ready
		if [ $((kill % 5)) -eq 0 ]; then
			echo $((doomed + 1)) >"$vault/doomed"
			shred $doomed &
			shredder=$!
			doomed=$((doomed + 1))
			sleep 0.0$((RANDOM % 3))$((RANDOM % 10))
		else
			sleep 0.$((RANDOM % 4))$((RANDOM % 10))
		fi
	fi
	spool_is_empty || busy=$((busy + 1))
	case $((RANDOM % 3)) in
	0) kill_keeper && launch_keeper ;;
	1) kill_intake && launch_intake ;;
	2) kill_intake && kill_keeper && launch_keeper && launch_intake ;;
	esac
	[ -z "${shredder-}" ] || wait "$shredder"
	shredder=''
done
rm "$vault/feeding"
wait "$feeder"

# Let it finish, and start once more: then there is nothing left to tidy up.
wait_until 60 keeper_ready
wait_until 60 intake_ready
wait_sealed
confirmed=$(find "$vault/shredded" -name 'sac-*' | wc -l)
for ((n = 0; n < doomed; n++)); do
	ctl shred account "sac-$n" --yes --reason test >"$vault/out" 2>"$vault/err"
	case $? in
	0 | 4 | 5) : >"$vault/shredded/sac-$n" ;;
	*) fail "the shred of sac-$n cannot be repeated: $(cat "$vault/err")" ;;
	esac
done
stop_vault
launch_keeper
launch_intake
wait_until 60 keeper_ready
wait_until 60 intake_ready
list
complaints=$(check "$vault/list.json" "$vault/shredded" plays_as)
[ -z "$complaints" ] || fail "$complaints"
files=$(find "$source" -type f | wc -l)
[ $busy -ge $((KILLS / 2)) ] || fail "only $busy kills came while something waited: that was no load"
[ "$confirmed" -gt 0 ] || fail "no shred was confirmed before a kill: that was no test of it"
expect 0 ctl verify --all

# One object for each recording that can still be opened, and nothing else
live=$(jq '[.[] | select(.state == "sealed" or .state == "quarantined")] | length' "$vault/list.json")
objects_are_live() { [ "$(count_objects)" -eq "$live" ]; }
wait_until $PATIENCE_S objects_are_live
diff <(jq -r '.[] | select(.state != "destroyed") | .object' "$vault/list.json" | sort) \
	<(cd "$state/objects" && find . -name '*.age' -printf '%P\n' | sort) >"$vault/diff" || fail "objects: $(head "$vault/diff")"
left=$(find "$state/objects" -type f ! -name '*.age' ! -name '*.age.uncatalogued' ! -name 'epoch-*')
[ -z "$left" ] || fail "leftovers among the objects: $left"
left=$(find "$spool" ! -type d)
[ -z "$left" ] || fail "leftovers in the spool: $left"
stop_vault
nothing_runs() { ! pgrep -s "$(IFS=, && echo "${sessions[*]}")" >"$vault/out"; }
wait_until 20 nothing_runs

# The negative controls
doctored() {
	jq "$2" "$vault/list.json" >"$vault/doctored.json"
	[ -n "$(check "$vault/doctored.json" "$vault/shredded" "${3:-true}")" ] || fail "the check does not find $1"
}
one='([to_entries[] | select(.value.state == "sealed")][5].key)'
doctored "a lost recording" "del(.[$one])"
doctored "a doubled recording" ". + [.[$one]]"
doctored "a lost one among the shredded" 'del(.[[.[].state] | index("destroyed")])'
doctored "a shred undone" '[.[] | if .state == "destroyed" then .account = "sac-0" else . end]'
swapped() { [ "$2" != "$source/$(jq -r '[.[] | select(.path)][3].path' "$vault/list.json")" ]; }
doctored "a wrong byte" . swapped
[ -z "$(check "$vault/list.json" "$vault/shredded" true)" ] || fail "the check finds something in the true catalog"
echo "PASS: $KILLS kills ($early while starting, $busy under load), $files recordings, $live live, $confirmed of $doomed shreds confirmed before a kill"
