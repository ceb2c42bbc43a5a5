#!/usr/bin/env bash
# Runs fuzz targets that were built with --enable-fuzzing: run.sh BUILD-DIR SECONDS TARGET... (without "fuzz_").
#
# Each runs for so many seconds, as many at once as there are processors. 1 when there is a finding: it is named, with
# the command that repeats it.
set -euo pipefail

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
build=$1 seconds=$2
shift 2
findings=$build/findings logs=$build/logs

# libFuzzer's own limits: an input that takes 10 s, or a process of 2 GiB, is a finding, too.
fuzz_target() {
	local name=$1 program=$build/fuzz_$1
	mkdir -p "$build/corpus/$name" "$findings/$name"
	"$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
		-print_final_stats=1 -artifact_prefix="$findings/$name/" \
		"$build/corpus/$name" "$source_dir/corpus/$name" >"$logs/$name.log" 2>&1
}

stat_of() {
	sed -n "s/^stat::$2: *//p" "$logs/$1.log"
}

# What libFuzzer wrote the input to; for a leak it may be written twice, and for a startup failure not at all.
finding_of() {
	sed -n 's/.*Test unit written to //p' "$logs/$1.log" | tail -n 1
}

report() {
	local name=$1 status=$2 finding
	if [ "$status" -eq 0 ]; then
		printf 'ok    %-14s %10s executions, %6s inputs kept\n' "$name" \
			"$(stat_of "$name" number_of_executed_units)" "$(stat_of "$name" new_units_added)"
		return
	fi
	finding=$(finding_of "$name")
	printf 'FOUND %-14s %s\n' "$name" "${finding:-no input was written}"
	grep -a -m 1 -E 'ERROR: |runtime error: |does not hold: ' "$logs/$name.log" | sed 's/^/      | /' || true
	echo "      log: $logs/$name.log"
	[ -z "$finding" ] || echo "      to repeat it: $build/fuzz_$name $finding"
}

# One of those that run has ended: its status is reported.
reap() {
	local pid status=0
	wait -n -p pid || status=$?
	report "${running[$pid]}" "$status"
	unset "running[$pid]"
	[ "$status" -eq 0 ] || found=1
}

# libFuzzer ends its run when it is interrupted; its statistics are still reported.
declare -A running=()
found=0
mkdir -p "$logs"
for name; do
	[ -x "$build/fuzz_$name" ] || {
		echo "fuzz: there is no target $build/fuzz_$name" >&2
		exit 2
	}
	[ "${#running[@]}" -lt "$(nproc)" ] || reap
	fuzz_target "$name" &
	running[$!]=$name
done
while [ "${#running[@]}" -gt 0 ]; do reap; done
exit $found
