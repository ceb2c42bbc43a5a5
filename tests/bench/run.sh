#!/bin/bash
# Bulk and small-file sealing, measured in one run against what an operator would use instead.
#
#   bulk    8 x 128 MiB of WAV      small   2,000 x 160 KB of WAV
#
# from memory (tmpfs) to disk. Each round times, one after the other:
#   cp      cp and fsync of each file         age     age and fsync of each file
#   recseal from the moment the files appear in the spool until the last one is durable, catalogued and unlinked
# Printed: seconds of each, and ratios of medians. Seconds depend on the machine; ratios much less.
#
# Nothing is deleted between rounds, and nothing should have been deleted on that filesystem in the five minutes
# before: ext4 does not reuse young deleted inodes, and looks at each of them before it makes a new file.
#
#   BUILD   directory with the programs (required)      ROUNDS  default 3
#   DISK    directory to write to (default $BUILD)      MEMORY  tmpfs to read from (default /dev/shm)
set -eu

BUILD=$(realpath "${BUILD:?set BUILD to the directory with the programs, or use ./dev bench}")
ROUNDS=${ROUNDS:-3}
disk=$(mktemp -d "${DISK:-$BUILD}/bench.XXXXXX")
memory=$(mktemp -d "${MEMORY:-/dev/shm}/recseal-bench.XXXXXX")
keeper='' intake=''

clean_up() {
	[ -z "$intake" ] || kill "$intake" 2>/dev/null || true
	[ -z "$keeper" ] || kill "$keeper" 2>/dev/null || true
	wait
	rm -rf "$disk" "$memory"
}
trap clean_up EXIT

le32() {
	local n=$1
	printf '%b' "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' \
		$((n & 255)) $((n >> 8 & 255)) $((n >> 16 & 255)) $((n >> 24 & 255)))"
}

# wav BYTES FILE: 16-bit mono at 8 kHz, its samples noise
wav() {
	{
		printf 'RIFF'; le32 $(($1 - 8)); printf 'WAVEfmt '; le32 16
		printf '\001\000\001\000'; le32 8000; le32 16000; printf '\002\000\020\000'
		printf 'data'; le32 $(($1 - 44)); head -c $(($1 - 44)) /dev/urandom
	} >"$2"
}

now() { echo "${EPOCHREALTIME/./}"; }

# timed_each COMMAND FOLDER: runs it for every source file, with the file and a destination below the new folder;
# prints microseconds
timed_each() {
	local start f n=0
	mkdir "$disk/$2"
	sync
	start=$(now)
	for f in "$memory"/source/*; do
		n=$((n + 1))
		"$1" "$f" "$disk/$2/$n"
	done
	echo "$(($(now) - start))"
}

copy_durably() { cp "$1" "$2" && sync "$2"; }
age_durably() { age -r "$recipient" -o "$2" "$1" && sync "$2"; }

start_vault() {
	state=$disk/state-$1
	mkdir -p "$memory/spool" "$state"
	printf '[spool bench]\nPath=%s\nSettle=0\n' "$memory/spool" >"$disk/recseal.conf"
	"$BUILD/recseal-keeper" --config "$disk/recseal.conf" --state "$state" 2>"$disk/keeper.log" &
	keeper=$!
	"$BUILD/recseald" --config "$disk/recseal.conf" --state "$state" 2>"$disk/intake.log" &
	intake=$!
	until "$BUILD/recsealctl" --socket "$state/run/control" status --json 2>/dev/null |
		grep -q '"intake_connected": *true'; do sleep 0.05; done
}

timed_seal() {
	local start
	cp -r "$memory/source" "$memory/staged"
	sync
	start=$(now)
	mv "$memory/staged" "$memory/spool/account-$RANDOM$RANDOM"
	while [ -n "$(find "$memory/spool" -type f -print -quit)" ]; do sleep 0.05; done
	echo "$(($(now) - start))"
}

stop_vault() {
	memory_kib=$(awk '/VmHWM/ {print $2}' "/proc/$intake/status")
	kill "$intake" "$keeper"
	wait "$intake" "$keeper" || true
	intake='' keeper=''
	rm -rf "$memory/spool"
}

median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }
seconds() { awk -v us="$1" 'BEGIN { printf "%.2f", us / 1e6 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

# measure NAME
measure() {
	local cp_us=() age_us=() seal_us=() c a s i
	for ((i = 0; i < ROUNDS; i++)); do
		cp_us+=("$(timed_each copy_durably "cp-$1-$i")")
		age_us+=("$(timed_each age_durably "age-$1-$i")")
		start_vault "$1-$i"
		seal_us+=("$(timed_seal)")
		stop_vault
	done
	c=$(median "${cp_us[@]}") a=$(median "${age_us[@]}") s=$(median "${seal_us[@]}")
	printf '%-8s %10s %10s %10s %12s %12s %14s\n' "$1" "$(seconds "$c")" "$(seconds "$a")" "$(seconds "$s")" \
		"$(ratio "$s" "$c")" "$(ratio "$s" "$a")" "$((memory_kib / 1024))"
}

command -v age >/dev/null || { echo "bench: age is missing (Debian package age)" >&2; exit 1; }
age-keygen -o "$memory/identity" 2>/dev/null
recipient=$(age-keygen -y "$memory/identity")

printf '%-8s %10s %10s %10s %12s %12s %14s\n' '' 'cp s' 'age s' 'recseal s' 'recseal/cp' 'recseal/age' 'intake MiB'
mkdir "$memory/source"
wav $((128 << 20)) "$memory/source/1.wav"
for i in 2 3 4 5 6 7 8; do cp "$memory/source/1.wav" "$memory/source/$i.wav"; done
measure bulk
rm -rf "$memory/source" && mkdir "$memory/source"
wav 160000 "$memory/source/1.wav"
for ((i = 2; i <= 2000; i++)); do cp "$memory/source/1.wav" "$memory/source/$i.wav"; done
measure small
