#!/bin/bash
# Goal: a mirror of the root on other media saves the living recordings when the main copy is lost, and is no way around
# an erasure: while one of the two is away nothing is destroyed, the shred says which it waits for, and what an officer
# gives up stays on record. Killed at any moment, the keeper loses no live recording and reports no destruction that
# did not happen. The same with the root in a TPM that dies with its mainboard.
# Negative control: without a mirror the same loss is the loss of the vault.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

KILLS=${KILLS:-20}
safe=$vault/media/safe

configure() {
	printf '[keeper]\n' >"$vault/recseal.conf"
	printf '%s\n' "$@" >>"$vault/recseal.conf"
}
keeper() { start_keeper --config "$vault/recseal.conf"; }
one_of() { jq -r --arg a "$1" '[.[] | select(.account == $a and .state == "sealed")][0].id' "$vault/list.json"; }
copy_is() { # NAME STATE
	ctl root show --json >"$vault/copies" && holds "any(.[]; .name == \"$1\" and .state == \"$2\")" "$vault/copies"
}

# --- A mirror on other media ---
configure
keeper
seal 6 acme
seal 2 other
mkdir -p "$safe" && chmod 700 "$safe"
expect 0 ctl root add safe --file "$safe" --reason 'mainboard loss'
says "$vault/out" 'safe +in use +file' 'same filesystem'
expect 0 ctl root test
expect 3 ctl root add twice --file "$safe" --reason x
expect 2 ctl root add nowhere --reason x
list
id=$(one_of acme)
expect 0 ctl shred recording "$id" --yes --reason test
cmp -s "$state/keeper/root.slots" "$safe/root.slots" && fail "the two files are one"

# --- Away: nothing is destroyed, and it is said what is waited for ---
mv "$safe" "$vault/away"
stop_keeper
keeper
[ "$(live_play)" -eq 7 ] || fail "not all play while the mirror is away"
list
id=$(one_of acme)
expect 1 ctl shred recording "$id" --yes --reason test
says "$vault/err" 'not destroyed yet' 'safe'
status_holds '.recordings.pending == 1 and .epoch == 2' || fail "$(cat "$vault/status.json")"
holds '.warnings[] | select(contains("safe"))' "$vault/status.json" || fail "status does not name the mirror"
expect 1 ctl root test
expect 3 ctl root drop safe --reason 'lost, perhaps'
says "$vault/err" 'AwayLimit'
mv "$vault/away" "$safe"
expect 0 ctl root test
status_holds '(.recordings.pending // 0) == 0 and .epoch == 3' || fail "not done though the mirror is back"
expect 5 ctl play "$id" --reason x

# --- Killed at any moment ---
seal 30 crowd
before=$(live_play) || fail "not all play before the kills"
jq -r '.[] | select(.account == "crowd") | .id' "$vault/list.json" >"$vault/crowd"
: >"$vault/promised"
for ((i = 0; i < KILLS; i++)); do
	id=$(sed -n "$((i / 2 + 1))p" "$vault/crowd")
	(ctl shred recording "$id" --yes --reason kill --json >/dev/null 2>&1 && echo "$id" >>"$vault/promised") &
	shredder=$!
	sleep "0.00$((RANDOM % 10))$((RANDOM % 10))"
	kill_keeper
	wait $shredder
	# Every other time one of the two copies is away for a start.
	if [ $((i % 2)) -eq 0 ]; then
		copy=$safe/root.slots
		[ $((i % 4)) -eq 0 ] || copy=$state/keeper/root.slots
		mv "$copy" "$vault/aside"
		keeper
		live_play >/dev/null || fail "a live recording does not play from one copy"
		kill_keeper
		mv "$vault/aside" "$copy"
	fi
	keeper
done
expect 0 ctl root test
after=$(live_play) || fail "a live recording was lost"
gone=$(jq '[.[] | select(.account == "crowd" and .state != "sealed")] | length' "$vault/list.json")
[ $((before - gone)) -eq "$after" ] || fail "$before recordings, $gone shredded, $after left"
while read -r id; do
	holds ".[] | select(.id == \"$id\") | .state == \"destroyed\"" || fail "$id was promised to be destroyed, and is not"
done <"$vault/promised"
expect 0 ctl verify --all

# --- The main copy is lost ---
stop_keeper
mv "$state/keeper/root.slots" "$vault/lost"
keeper
[ "$(live_play)" -eq "$after" ] || fail "not all play from the mirror"
expect 1 ctl shred account acme --yes --reason test
says "$vault/err" 'main'
expect 3 ctl root replace main --reason 'disk died'
stop_keeper
configure AwayLimit=0
keeper
expect 0 ctl root replace main --reason 'disk died'
copy_is main 'in use' || fail "$(cat "$vault/copies")"
expect 0 ctl shred account other --yes --reason test
says "$vault/out" 'not overwritten +the copy of the root at'
list_holds '[.[] | select(.account == null and .state == "destroyed")] | length >= 6' || fail "the pending shred was not done"
stop_keeper
# What was lost is of the past.
cp -a "$state" "$vault/saved"
cp "$vault/lost" "$state/keeper/root.slots"
keeper_refuses --config "$vault/recseal.conf"
rm -rf "$state"
mv "$vault/saved" "$state"
mv "$safe" "$vault/elsewhere"
keeper_refuses --config "$vault/recseal.conf"
says "$vault/refusal" 'copy'
mv "$vault/elsewhere" "$safe"
rm "$state/keeper/root.slots"
keeper

# --- Dropping: overwritten and gone ---
expect 0 ctl root replace main --reason 'moved by the test'
expect 0 ctl root drop safe --reason 'disk is retired'
[ ! -e "$safe/root.slots" ] || fail "the dropped mirror is still there"
[ "$(live_play)" -gt 0 ] || fail "nothing plays without the mirror"

# --- The control: without a mirror the loss is final ---
stop_keeper
rm "$state/keeper/root.slots"
keeper_refuses --config "$vault/recseal.conf"
says "$vault/refusal" 'root.slots'
echo "PASS: $KILLS kills, $gone shredded, $after live"

# --- A TPM that dies with its mainboard ---
command -v swtpm >/dev/null || exit 0
grep -qa 'built without TPM support' "$BUILD/recseal-keeper" && exit 0
grep -q libtss2-esys <<<"$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p)" || exit 0
tpm_pid=''
start_tpm() { # FOLDER: a TPM of its own
	mkdir -p "$1"
	for _ in $(seq 20); do
		port=$((20000 + RANDOM % 20000))
		swtpm socket --tpm2 --tpmstate "dir=$1" --server "type=tcp,port=$port,bindaddr=127.0.0.1" \
			--ctrl "type=tcp,port=$((port + 1)),bindaddr=127.0.0.1" --flags not-need-init,startup-clear \
			>>"$vault/tpm.log" 2>&1 &
		tpm_pid=$!
		sleep 0.3
		alive "$tpm_pid" && return
	done
	fail "swtpm does not start"
}
end_tpm() {
	local status=$?
	[ -z "$tpm_pid" ] || kill "$tpm_pid" 2>/dev/null
	(exit $status)
	cleanup
}
trap end_tpm EXIT
rm -rf "$state" "$vault/source"
start_tpm "$vault/tpm1"
configure Root=tpm2 "TpmDevice=swtpm:host=127.0.0.1,port=$port" AwayLimit=0
keeper
seal 3 acme
expect 0 ctl root add safe --file "$safe" --reason 'mainboard loss'
status_holds '.assurance == "file"' || fail "the weakest copy does not count"
stop_keeper
kill "$tpm_pid" && wait "$tpm_pid" 2>/dev/null
start_tpm "$vault/tpm2"
configure Root=tpm2 "TpmDevice=swtpm:host=127.0.0.1,port=$port" AwayLimit=0
keeper
[ "$(live_play)" -eq 3 ] || fail "lost with the mainboard"
copy_is main away || fail "$(cat "$vault/copies")"
expect 0 ctl root replace main --reason 'new mainboard'
expect 0 ctl root drop safe --reason 'no file any more'
status_holds '.assurance == "virtual-tpm"' || fail "$(cat "$vault/status.json")"
stop_keeper
keeper
[ "$(live_play)" -eq 3 ] || fail "lost with the mirror"
expect 0 ctl shred account acme --yes --reason test
echo "PASS: and with a TPM that is lost"
