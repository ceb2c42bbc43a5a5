#!/bin/bash
# Sealing, measured in one run against what an operator would use instead, with a verdict beside each figure.
#
#   ./dev bench [bulk] [small] [exposure] [backlog]        default: all, some ten minutes
#
#   bulk      8 x 128 MiB of WAV from memory (tmpfs) to disk: time, processor time, memory
#   small     2,000 x 160 KB, the same
#   exposure  50 files a second, 16 KB each, for 20 s, in a spool on disk: from finished to durably sealed and removed
#   backlog   100,000 files of 1 KB wait in a spool on disk at start
#
# bulk and small take turns with
#   cp          cp, then fsync, of each file           one process  a program that copies and fsyncs each file
#   age         age, then fsync, of each file          gocryptfs    cp, then fsync, of each file into a mount
#   cp -r       one fsync of everything at the end (sync -f)
# cp goes before and after recseal in each round. A ratio is the median over the rounds of recseal's time by the mean
# of the competitor's times in the same round. Seconds depend on the machine and on who else uses it; ratios less.
#
# Nothing is deleted between rounds, and few files should have been deleted on that filesystem in the five minutes
# before: ext4 without a journal does not reuse young deleted inodes, and looks at each of them before it makes a new
# file. bulk needs 22 GiB of room for three rounds.
#
#   BUILD   directory with the programs (required)      ROUNDS  default 3
#   DISK    directory to write to (default $BUILD)      MEMORY  tmpfs to read from (default /dev/shm)
#   WAITING files of the backlog (default 100,000)      SECONDS_FED   of the exposure (default 20)
set -eu

BUILD=$(realpath "${BUILD:?set BUILD to the directory with the programs, or use ./dev bench}")
ROUNDS=${ROUNDS:-3} WAITING=${WAITING:-100000} SECONDS_FED=${SECONDS_FED:-20}
disk=$(mktemp -d "${DISK:-$BUILD}/bench.XXXXXX")
memory=$(mktemp -d "${MEMORY:-/dev/shm}/recseal-bench.XXXXXX")
tool=$BUILD/bench_tool
hertz=$(getconf CLK_TCK)
keeper='' intake='' drain='' vaults=0

clean_up() {
	[ -z "$intake" ] || kill "$intake" 2>/dev/null || true
	[ -z "$keeper" ] || kill "$keeper" 2>/dev/null || true
	[ -z "$drain" ] || kill "$drain" 2>/dev/null || true
	wait
	! mountpoint -q "$disk/plain" || fusermount3 -u "$disk/plain" || true
	rm -rf "$disk" "$memory"
}
trap clean_up EXIT

now() { echo "${EPOCHREALTIME/./}"; }
calc() { awk "BEGIN { printf \"$1\", $2 }"; }
median() {
	printf '%s\n' "$@" | sort -g |
		awk '{ v[NR] = $1 } END { printf "%.3f", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# --- the table ---

# row NAME FIGURE [LIMIT NUMBER]: with a verdict when there is a limit
row() {
	local verdict=''
	if [ $# -gt 2 ]; then
		verdict=$(awk -v a="$4" -v b="$3" 'BEGIN { print a <= b ? "met" : "MISSED" }')
		printf '  %-50s %-28s at most %-6s %s\n' "$1" "$2" "$3" "$verdict"
	else
		printf '  %-50s %s\n' "$1" "$2"
	fi
}

heading() { printf '%s  (load average %s)\n' "$1" "$(cut -d' ' -f1 /proc/loadavg)"; }

# --- recseal ---

# start_keeper SPOOL SETTLE
start_keeper() {
	vaults=$((vaults + 1))
	state=$disk/state-$vaults
	mkdir -p "$1" "$state"
	printf '[spool bench]\nPath=%s\nFirstStart=take\n%s\n' "$1" "$2" >"$disk/recseal.conf"
	"$BUILD/recseal-keeper" --config "$disk/recseal.conf" --state "$state" 2>"$disk/keeper.log" &
	keeper=$!
	until "$BUILD/recsealctl" --socket "$state/run/control" status --json >/dev/null 2>&1; do sleep 0.05; done
}

start_intake() {
	"$BUILD/recseald" --config "$disk/recseal.conf" --state "$state" 2>"$disk/intake.log" &
	intake=$!
}

await_intake() {
	until "$BUILD/recsealctl" --socket "$state/run/control" status --json 2>/dev/null |
		grep -q '"intake_connected": *true'; do sleep 0.05; done
}

stop_vault() {
	memory_kib=$(awk '/VmHWM/ {print $2}' "/proc/$intake/status")
	kill "$intake" "$keeper"
	wait "$intake" "$keeper" || true
	intake='' keeper=''
}

# Ticks of processor time of keeper, intake, probe server, and the probes that have ended.
vault_ticks() {
	local pid
	for pid in "$keeper" "$intake" $(cat "/proc/$intake/task/$intake/children"); do
		sed 's/.*) //' "/proc/$pid/stat"
	done | awk '{ t += $12 + $13 + $14 + $15 } END { print t }'
}

# drained FOLDER COUNT COMMAND...: runs the command once the folder is watched; sets first_us and all_us, the times of
# the first and last removal from the command's start
drained() {
	local folder=$1 count=$2 start
	shift 2
	coproc "$tool" drain "$folder" "$count"
	drain=$COPROC_PID
	read -r _ <&"${COPROC[0]}"
	start=$(now)
	"$@"
	read -r first_us all_us <&"${COPROC[0]}"
	wait "$drain"
	drain=''
	first_us=$((first_us - start)) all_us=$((all_us - start))
}

# --- the competitors: each prints microseconds ---

timed() {
	local start
	sync
	start=$(now)
	"$@"
	echo "$(($(now) - start))"
}

each_file() {
	local f n=0
	mkdir "$2"
	for f in "$memory"/source/*; do
		n=$((n + 1))
		"$1" "$f" "$2/$n"
	done
}

copy_durably() { cp "$1" "$2" && sync "$2"; }
age_durably() { age -r "$recipient" -o "$2" "$1" && sync "$2"; }
copy_together() { cp -r "$memory/source" "$1" && sync -f "$1"; }
copy_in_one() { mkdir "$1" && "$tool" copy "$memory/source" "$1"; }

mount_gocryptfs() {
	command -v gocryptfs >/dev/null || { echo "gocryptfs is not installed: left out"; return 0; }
	mkdir "$disk/cipher" "$disk/plain"
	echo bench >"$memory/password"
	gocryptfs -q -init -passfile "$memory/password" "$disk/cipher" >/dev/null &&
		gocryptfs -q -passfile "$memory/password" "$disk/cipher" "$disk/plain" >/dev/null 2>&1 ||
		echo "gocryptfs cannot be mounted here: left out"
}

# --- bulk and small ---

seal_source() {
	local before count
	start_keeper "$memory/spool" Settle=0
	start_intake
	await_intake
	cp -r "$memory/source" "$memory/staged"
	sync
	count=$(find "$memory/staged" -type f | wc -l)
	before=$(vault_ticks)
	drained "$memory/staged" "$count" mv "$memory/staged" "$memory/spool/account"
	ticks=$(($(vault_ticks) - before))
	stop_vault
	rm -rf "$memory/spool"
}

# ratio_of: medians of recseal by the mean of one competitor's times, round by round
# usage: ratio_of TIMES-PER-ROUND, reading the arrays seal_us and $2
ratio_of() {
	local -n of=$2
	local i j sum all=()
	for ((i = 0; i < ROUNDS; i++)); do
		sum=0
		for ((j = 0; j < $1; j++)); do sum=$((sum + of[i * $1 + j])); done
		all+=("$(calc %.3f "${seal_us[i]} * $1 / $sum")")
	done
	median "${all[@]}"
}

seconds_of() {
	local -n of=$1
	calc '%.2f s' "$(median "${of[@]}") / 1e6"
}

# compared NAME ARRAY TIMES-PER-ROUND [LIMIT]
compared() {
	local r
	r=$(ratio_of "$3" "$2")
	row "time / $1" "$(calc %.2f "$r")  ($(seconds_of seal_us) / $(seconds_of "$2"))" ${4+"$4" "$r"}
}

# measure NAME BYTES CP-LIMIT AGE-LIMIT CIPHER-LIMIT TOGETHER-LIMIT: of the files in $memory/source; a limit may be empty
measure() {
	local cp_us=() age_us=() seal_us=() crypt_us=() one_us=() together_us=() cpu=() cipher=() peak=0 i files
	files=$(find "$memory/source" -type f | wc -l)
	for ((i = 0; i < ROUNDS; i++)); do
		cp_us+=("$(timed each_file copy_durably "$disk/cp-$1-$i")")
		seal_source
		seal_us+=("$all_us")
		cpu+=("$(calc %.3f "$ticks / $hertz / $2 * 2 ^ 30")")
		[ "$memory_kib" -le "$peak" ] || peak=$memory_kib
		cp_us+=("$(timed each_file copy_durably "$disk/cp-$1-$i-again")")
		cipher+=("$(calc %.3f "$("$tool" cipher "$memory/source/1.wav" "$files") / 1e6 / $2 * 2 ^ 30")")
		age_us+=("$(timed each_file age_durably "$disk/age-$1-$i")")
		one_us+=("$(timed copy_in_one "$disk/one-$1-$i")")
		together_us+=("$(timed copy_together "$disk/together-$1-$i")")
		! mountpoint -q "$disk/plain" ||
			crypt_us+=("$(timed each_file copy_durably "$disk/plain/$1-$i")")
	done
	compared "cp + fsync of each file" cp_us 2 ${3:+"$3"}
	compared "age + fsync of each file" age_us 1 ${4:+"$4"}
	[ ${#crypt_us[@]} -eq 0 ] || compared "cp + fsync of each file into gocryptfs" crypt_us 1
	compared "copy and fsync of each file in one process" one_us 1
	compared "cp -r, one sync at the end" together_us 1 ${6:+"$6"}
	local c s
	c=$(median "${cpu[@]}") s=$(median "${cipher[@]}")
	row "processor time per GiB / the cipher's alone" \
		"$(calc %.2f "$c / $s")  ($c s / $s s)" ${5:+"$5" "$(calc %.3f "$c / $s")"}
	row "intake's memory, MiB" "$(calc %.0f "$peak / 1024")" 48 "$(calc %.1f "$peak / 1024")"
}

measure_bulk() {
	local i
	heading "bulk: 8 files of 128 MiB"
	mkdir "$memory/bulk" "$memory/source"
	"$tool" fill "$memory/bulk" 1 $((128 << 20))
	for i in 1 2 3 4 5 6 7 8; do cp "$memory/bulk/0.wav" "$memory/source/$i.wav"; done
	rm -rf "$memory/bulk"
	measure bulk $((8 * (128 << 20))) 0.6 '' 1.3 ''
	rm -rf "$memory/source" "$disk"/*-bulk-* "$disk"/plain/bulk-* "$disk"/state-*
}

measure_small() {
	heading "small: 2,000 files of 160 KB"
	mkdir "$memory/source"
	"$tool" fill "$memory/source" 2000 160000
	measure small $((2000 * 160000)) 0.25 0.1 '' 1.0
	rm -rf "$memory/source"
}

# --- exposure ---

# fed HOW SETTLE TEXT
fed() {
	local p50 p99 most
	mkdir -p "$disk/exposure-$1/account"
	start_keeper "$disk/exposure-$1" "$2"
	start_intake
	await_intake
	sleep 1
	read -r p50 p99 most < <("$tool" feed "$disk/exposure-$1/account" $((50 * SECONDS_FED)) 50 16000 "$1")
	row "$3: p99, ms" \
		"$((p99 / 1000))  (p50 $((p50 / 1000)), greatest $((most / 1000)))" 250 $((p99 / 1000))
	stop_vault
	row "... intake's memory, MiB" "$((memory_kib / 1024))" 48 $((memory_kib / 1024))
}

measure_exposure() {
	heading "exposure: 50 files a second, $SECONDS_FED s"
	fed rename '' "renamed to their names, Settle= as it comes"
	fed close Settle=0 "closed after writing, Settle=0"
}

# --- backlog ---

measure_backlog() {
	heading "backlog: $WAITING files of 1 KB at start"
	mkdir -p "$disk/backlog/account"
	"$tool" fill "$disk/backlog/account" "$WAITING" 1024
	sync
	start_keeper "$disk/backlog" Settle=0
	drained "$disk/backlog/account" "$WAITING" start_intake
	stop_vault
	row "first one sealed after, ms" "$((first_us / 1000))" 1000 $((first_us / 1000))
	row "all of them sealed after, s" "$(calc %.1f "$all_us / 1e6")  ($((WAITING * 1000000 / all_us)) a second)"
	row "intake's memory, MiB" "$((memory_kib / 1024))" 48 $((memory_kib / 1024))
}

for program in age "$tool"; do
	command -v "$program" >/dev/null || { echo "bench: $program is missing" >&2; exit 1; }
done
for part; do
	case $part in
	bulk | small | exposure | backlog) ;;
	*) echo "bench: unknown part $part (known: bulk, small, exposure, backlog)" >&2; exit 2 ;;
	esac
done
[ $# -gt 0 ] || set -- bulk small exposure backlog
age-keygen -o "$memory/identity" 2>/dev/null
recipient=$(age-keygen -y "$memory/identity")
echo "$(nproc) processors; medians of $ROUNDS rounds"
mount_gocryptfs
for part; do "measure_$part"; done
