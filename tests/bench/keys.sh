#!/bin/bash
# What erasures cost, and whether that grows with the vault.
#
#   ./dev bench keys [ACCOUNTS RECORDINGS]      default 1,000,000 and 10,000,000
#
# Makes a vault of ten accounts and one of ACCOUNTS (keys and catalog rows, no audio), then prints
#   - how long the keeper takes to be ready with the large one, and its peak memory, also after a shred
#   - for both: CPU time and bytes written per erasure of one recording, one expiry group, one account, in an epoch of
#     its own; "journal" is what goes to SQLite's WAL, "written" all else, checkpoints included
#   - for the large one: 10,000 groups, and 10,000 accounts, in one epoch; an account with a tenth of the recordings; and what it costs to
#     bury them afterwards, a stride at a time
# Ten million recordings take 8 GB of disk, and most of a quarter of an hour to make.
#
#   BUILD   directory with the programs (required)      DISK   directory to write to (default $BUILD)
set -eu

BUILD=$(realpath "${BUILD:?set BUILD to the directory with the programs, or use ./dev bench keys}")
accounts=${1:-1000000} recordings=${2:-10000000}
disk=$(mktemp -d "${DISK:-$BUILD}/bench.XXXXXX")
keeper=''

clean_up() {
	[ -z "$keeper" ] || kill "$keeper" 2>/dev/null || true
	wait
	rm -rf "$disk"
}
trap clean_up EXIT

now() { echo "${EPOCHREALTIME/./}"; }
ctl() { "$BUILD/recsealctl" --socket "$disk/large/run/control" "$@"; }
peak_mib() { awk '/VmHWM/ {printf "%.0f", $2 / 1024}' "/proc/$keeper/status"; }

make_vault() {
	local start
	start=$(now)
	"$BUILD/bench_keys" make "$disk/$1" "$2" "$3" 2>"$disk/log" || { tail -n 3 "$disk/log" >&2; exit 1; }
	echo "made: $2 accounts, $3 recordings, $(du -sm "$disk/$1/keeper" | cut -f1) MiB, in $((($(now) - start) / 1000000)) s"
}

measure() {
	echo "in a vault of $2 accounts:"
	"$BUILD/bench_keys" measure "$disk/$1" "$3" "$4" "$5" 2>"$disk/log" || { grep -v destroyed "$disk/log" >&2; exit 1; }
}

start_keeper() {
	local start
	start=$(now)
	"$BUILD/recseal-keeper" --state "$disk/large" 2>"$disk/log" &
	keeper=$!
	until ctl status >/dev/null 2>&1; do
		kill -0 "$keeper" || { cat "$disk/log" >&2; exit 1; }
	done
	echo "keeper ready after $((($(now) - start) / 1000)) ms, $(peak_mib) MiB resident"
}

make_vault small 10 100
make_vault large "$accounts" "$recordings"
sync
start_keeper
ctl shred account "account $((accounts / 2))" --yes --reason bench >/dev/null
echo "after a shred of one account: $(peak_mib) MiB resident"
kill "$keeper" && wait "$keeper"
keeper=''
measure small 10 3 0 0
measure large "$accounts" 50 $((accounts < 20000 ? accounts / 4 : 10000)) $((recordings / 10))
