# shellcheck shell=bash disable=SC2119,SC2120
# What the scenarios share. A scenario sources this first; BUILD is the folder with the programs built.
#
#   start_vault             keeper and intake on fresh folders; waits until both are ready
#   stop_vault              stops both, and fails when either did not end well
#   ctl ARGUMENT...         recsealctl on the vault's socket
#   wait_until TIMEOUT_S COMMAND...    fails the scenario when the command does not succeed in time
#   fail TEXT, skip TEXT, need COMMAND...
#
# $vault is the folder of everything, $state and $spool are in it; all of it goes away at the end, with
# every process that was started here. keeper.log and intake.log in it hold what the daemons said.
set -uo pipefail

: "${BUILD:?BUILD must name the folder with the programs built}"
BUILD=$(cd "$BUILD" && pwd -P) || exit 1
vault=$(mktemp -d "${TMPDIR:-/tmp}/recseal-scenario.XXXXXX") || exit 1
state=$vault/state
spool=$vault/spool
socket=$state/run/control
keeper_pid='' intake_pid=''
export RECSEAL_SOCKET=$socket

fail() {
	echo "FAIL: $*"
	for log in "$vault"/*.log; do
		[ -s "$log" ] && tail -n 20 "$log" | sed "s|^|$(basename "$log"): |"
	done
	exit 1
}

skip() {
	echo "SKIP: $*"
	exit 77
}

# need COMMAND...: skips when one is not there.
need() {
	local command
	for command; do
		command -v "$command" >/dev/null || skip "$command is missing"
	done
}

# Only what was started here is ended, by its id.
cleanup() {
	local status=$? pid
	for pid in "$intake_pid" "$keeper_pid"; do
		[ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	[ -n "${KEEP_VAULT-}" ] || rm -rf "$vault"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# The failure says what was waited for.
wait_until() {
	local timeout_s=$1 deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || fail "not within $timeout_s s: $*"
		sleep 0.05
	done
}

ctl() {
	"$BUILD/recsealctl" --socket "$socket" "$@"
}

alive() {
	[ -n "$1" ] && kill -0 "$1" 2>/dev/null
}

# keeper_ready and intake_ready: as the keeper itself tells.
keeper_ready() {
	alive "$keeper_pid" || fail "recseal-keeper ended"
	ctl --json status >/dev/null 2>&1
}

intake_ready() {
	alive "$intake_pid" || fail "recseald ended"
	ctl --json status 2>/dev/null | tr -d ' \n' | grep -q '"intake_connected":true'
}

# start_keeper and start_intake take further options of the daemon. PREFIX, an array, is put before the
# daemon's command: PREFIX=(strace -f -o "$vault/trace").
PREFIX=()

start_keeper() {
	mkdir -p "$state"
	"${PREFIX[@]}" "$BUILD/recseal-keeper" --state "$state" "$@" >>"$vault/keeper.log" 2>&1 &
	keeper_pid=$!
	wait_until 60 keeper_ready
}

start_intake() {
	mkdir -p "$spool"
	"${PREFIX[@]}" "$BUILD/recseald" --state "$state" --spool "$spool" "$@" >>"$vault/intake.log" 2>&1 &
	intake_pid=$!
	wait_until 60 intake_ready
}

# meet_spool: an intake meets the spool while that is empty. What is there at the next start then waits for nobody's word
# (FirstStart= in recseal.conf(5)).
spool_is_open() {
	ctl --json status | tr -d ' \n' | grep -q '"allowed":true'
}

meet_spool() {
	start_intake
	wait_until 60 spool_is_open
	stop_intake
}

# accept_spool [NAME]: of one that held files at its first start; for wait_until, since its intake counts first
accept_spool() {
	ctl spool accept "${1:-default}" --reason scenario >/dev/null 2>&1
}

start_vault() {
	start_keeper
	start_intake
}

# stop_one NAME PID
stop_one() {
	local status=0
	alive "$2" || fail "$1 had ended by itself"
	kill -TERM "$2"
	wait "$2" || status=$?
	[ $status -eq 0 ] || fail "$1 ended with status $status"
}

stop_intake() {
	stop_one recseald "$intake_pid"
	intake_pid=''
}

stop_keeper() {
	stop_one recseal-keeper "$keeper_pid"
	keeper_pid=''
}

stop_vault() {
	stop_intake
	stop_keeper
}

# spool_is_empty: no file is left below the spool.
spool_is_empty() {
	[ -z "$(find "$spool" -type f -print -quit)" ]
}
