#!/bin/bash
# How long callers keep a recording waiting.
#
#   ./dev bench calls [RECORDINGS CALLERS]      default 300,000 and 30
#
# Makes a vault with one account of RECORDINGS, each with an (empty) object, and prints
#   - how long the keeper takes to be ready with it
#   - for recordings of 16 KB, ten a second, how long each lay in its spool until it was durably sealed and removed: with
#     nobody else about, and with CALLERS who ask without a pause (account list, account show, the plan of a shred, and
#     lists of the account that match nothing and that match everything)
#   - the longest time that calls kept a recording waiting: the greatest of the second less the median of the first
#
# The callers are as many processes on the same processors as keeper and intake, so a part of that time is theirs.
#
#   BUILD   directory with the programs (required)      DISK   directory to write to (default $BUILD)
#   SECONDS_FED   of recordings (default 20)
set -eu

BUILD=$(realpath "${BUILD:?set BUILD to the directory with the programs, or use ./dev bench calls}")
recordings=${1:-300000} callers=${2:-30} SECONDS_FED=${SECONDS_FED:-20}
disk=$(mktemp -d "${DISK:-$BUILD}/bench.XXXXXX")
state=$disk/state
keeper='' intake=''
pids=()

clean_up() {
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
	[ -z "$intake" ] || kill "$intake" 2>/dev/null || true
	[ -z "$keeper" ] || kill "$keeper" 2>/dev/null || true
	wait
	rm -rf "$disk"
}
trap clean_up EXIT

now() { echo "${EPOCHREALTIME/./}"; }
ctl() { "$BUILD/recsealctl" --socket "$state/run/control" "$@"; }

start_keeper() {
	local start
	start=$(now)
	"$BUILD/recseal-keeper" --config "$disk/recseal.conf" --state "$state" 2>"$disk/keeper.log" &
	keeper=$!
	until ctl status >/dev/null 2>&1; do
		kill -0 "$keeper" || { cat "$disk/keeper.log" >&2; exit 1; }
		sleep 0.01
	done
	echo "keeper ready after $((($(now) - start) / 1000)) ms"
}

stop_keeper() {
	kill "$keeper"
	wait "$keeper" || true
	keeper=''
}

# An empty object for each recording, so that a start has something to compare with the catalog.
make_objects() {
	ctl list --json | sed -n 's/.*"object":"\([^"]*\)".*/\1/p' >"$disk/names"
	cd "$state/objects"
	cut -d/ -f1 "$disk/names" | sort -u | xargs mkdir -p
	xargs touch <"$disk/names"
	cd - >/dev/null
}

# Every caller begins with another question; each answer is a line of its own file.
caller() {
	local i=$1
	local account='account 0'
	while :; do
		case $((i % 5)) in
		0) ctl account list ;;
		1) ctl account show "$account" ;;
		2) ctl shred account "$account" --dry-run ;;
		3) ctl list --account "$account" --since 2100-01-01 ;;
		4) ctl list --account "$account" | head -n 1000 ;;
		esac >/dev/null 2>&1 || true
		echo "$i"
		i=$((i + 1))
	done >"$disk/answers-$1"
}

# fed: sets p50, p99 and most, in microseconds
fed() { read -r p50 p99 most < <("$BUILD/bench_tool" feed "$disk/spool/bench" $((10 * SECONDS_FED)) 10 16000 rename); }
ms() { awk -v us="$1" 'BEGIN { printf "%.0f ms", us / 1000 }'; }

mkdir -p "$disk/spool/bench"
printf '[spool bench]\nPath=%s\nFirstStart=take\n' "$disk/spool" >"$disk/recseal.conf"
"$BUILD/bench_keys" make "$state" 1 "$recordings" 2>"$disk/log" || { tail -n 3 "$disk/log" >&2; exit 1; }
echo "one account of $recordings recordings, $(nproc) processors, load average $(cut -d' ' -f1 /proc/loadavg)"
start_keeper
make_objects
stop_keeper
sync
start_keeper
"$BUILD/recseald" --config "$disk/recseal.conf" --state "$state" 2>"$disk/intake.log" &
intake=$!
until ctl status --json | grep -q '"intake_connected": *true'; do sleep 0.05; done
sleep 1
fed
idle_p50=$p50
echo "alone: a recording lies in its spool for $(ms "$p50"), p99 $(ms "$p99"), longest $(ms "$most")"
for ((i = 0; i < callers; i++)); do
	caller "$i" &
	pids+=($!)
done
sleep 1
fed
echo "with $callers callers: $(ms "$p50"), p99 $(ms "$p99"), longest $(ms "$most");" \
	"$(cat "$disk"/answers-* | wc -l) answers in $((SECONDS_FED + 1)) s"
waited=$((most - idle_p50))
[ "$waited" -gt 200000 ] && verdict=MISSED || verdict=met
echo "longest time that calls kept a recording waiting: $(ms "$waited"), at most 200 ms: $verdict"
[ "$verdict" = met ]
