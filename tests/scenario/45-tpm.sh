#!/bin/bash
# Goal: with its root in a TPM the vault seals, plays and shreds as with a file; it moves there and back without losing
# anything; a TPM that is away is reported and waited for; and killed at any moment of an epoch commit or a move, the
# keeper loses no live recording and reports no destruction that did not happen.
# Negative control: the check for lost recordings finds one that was shredded.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq swtpm
grep -qa 'built without TPM support' "$BUILD/recseal-keeper" && skip "recseal was built without TPM support (libtss2-dev)"
grep -q libtss2-esys <<<"$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p)" || skip "libtss2-esys is missing"

KILLS=${KILLS:-100}
tpm_pid=''

# Two neighbouring free ports: the control port must be the data port's next.
start_tpm() {
	local try
	mkdir -p "$vault/tpm"
	for try in $(seq 20); do
		port=${port:-$((20000 + RANDOM % 20000))}
		swtpm socket --tpm2 --tpmstate "dir=$vault/tpm" --server "type=tcp,port=$port,bindaddr=127.0.0.1" \
			--ctrl "type=tcp,port=$((port + 1)),bindaddr=127.0.0.1" --flags not-need-init,startup-clear \
			>>"$vault/tpm.log" 2>&1 &
		tpm_pid=$!
		sleep 0.3
		alive "$tpm_pid" && return
		[ "$try" -lt 20 ] && [ -n "${fixed_port-}" ] && continue
		port=''
	done
	fail "swtpm does not start"
}
stop_tpm() {
	kill "$tpm_pid" && wait "$tpm_pid" 2>/dev/null
	tpm_pid=''
}
end_tpm() {
	local status=$?
	[ -z "$tpm_pid" ] || kill "$tpm_pid" 2>/dev/null
	(exit $status)
	cleanup
}
trap end_tpm EXIT

# configure ROOT: of the keeper, for every start from now on
configure() {
	printf '[keeper]\nRoot=%s\nTpmDevice=swtpm:host=127.0.0.1,port=%s\n' "$1" "$port" >"$vault/recseal.conf"
}
keeper() { start_keeper --config "$vault/recseal.conf"; }
move_root() { "$BUILD/recseal-keeper" --state "$state" --config "$vault/recseal.conf" --move-root; }

start_tpm
fixed_port=$port

# --- A vault in the TPM from the start ---
configure tpm2
keeper
status_holds '.assurance == "virtual-tpm" and .epoch == 1' || fail "$(cat "$vault/status.json")"
seal 3 acme
seal 3 other
[ ! -e "$state/keeper/root.slots" ] || fail "there is a root file too"
expect 0 ctl shred account acme --yes --reason test --json
holds '.recordings == 3 and .epoch_after == 2 and .assurance == "virtual-tpm"' "$vault/out" || fail "shred: $(cat "$vault/out")"
[ "$(live_play)" -eq 3 ] || fail "the others do not play"
kill_keeper
keeper
[ "$(live_play)" -eq 3 ] || fail "the others do not play after a restart"

# --- Away, and back ---
id=$(jq -r '.[] | select(.state == "sealed") | .id' "$vault/list.json" | head -n 1)
stop_tpm
expect 1 ctl shred recording "$id" --yes --reason test
says "$vault/err" 'not destroyed yet'
status_holds '.recordings.pending == 1 and .epoch == 2' || fail "pending: $(cat "$vault/status.json")"
stop_keeper
keeper_refuses --config "$vault/recseal.conf"
says "$vault/refusal" 'TPM'
start_tpm
keeper
done_now() { status_holds '.recordings.pending == null or .recordings.pending == 0'; }
wait_until $PATIENCE_S done_now
expect 5 ctl play "$id" --reason test
[ "$(live_play)" -eq 2 ] || fail "the others do not play after the TPM was away"
stop_keeper
cp "$state/keeper/root.tpm2" "$vault/half"

# --- To a file, and back; what the configuration does not say is refused ---
configure file
keeper_refuses --config "$vault/recseal.conf"
says "$vault/refusal" '--move-root'
expect 0 move_root
says "$vault/out" 'assurance file'
[ ! -e "$state/keeper/root.tpm2" ] || fail "the old location is still there"
cp -a "$state" "$vault/before"
keeper
[ "$(live_play)" -eq 2 ] || fail "lost on the way to a file"
seal 1 new
stop_keeper
# A copy in the TPM that was only half made when a move was cut short: no indices yet.
cp "$vault/half" "$state/keeper/root.tpm2"
keeper
[ "$(live_play)" -eq 3 ] || fail "a half-made copy in the TPM stands in the way"
[ ! -e "$state/keeper/root.tpm2" ] || fail "a half-made copy in the TPM stays"
stop_keeper
configure tpm2
expect 0 move_root
[ ! -e "$state/keeper/root.slots" ] || fail "the root file is still there"
keeper
[ "$(live_play)" -eq 3 ] || fail "lost on the way to the TPM"
stop_keeper
head -c 5000 /dev/zero >"$state/keeper/root.slots"
keeper
[ "$(live_play)" -eq 3 ] || fail "a half-made root file stands in the way"
[ ! -e "$state/keeper/root.slots" ] || fail "a half-made root file stays"
stop_keeper
# The state from before the move, with its root file, is of the past.
mv "$state" "$vault/present"
cp -a "$vault/before" "$state"
cp -a "$vault/present/objects" "$state/"
keeper_refuses --config "$vault/recseal.conf"
says "$vault/refusal" 'epoch'
rm -rf "$state"
mv "$vault/present" "$state"

# --- Killed at any moment ---
keeper
seal 40 crowd
list
before=$(live_play) || fail "not all play before the kills"
jq -r '.[] | select(.account == "crowd" and .state == "sealed") | .id' "$vault/list.json" >"$vault/crowd"
: >"$vault/promised"
for ((i = 0; i < KILLS; i++)); do
	# One recording of the crowd goes in every second round, so that some are left for a while.
	id=$(sed -n "$((i / 3 + 1))p" "$vault/crowd")
	if [ $((i % 10)) -eq 9 ]; then
		stop_keeper
		configure "$([ $((i % 20)) -eq 9 ] && echo file || echo tpm2)"
		"$BUILD/recseal-keeper" --state "$state" --config "$vault/recseal.conf" --move-root >"$vault/out" 2>&1 &
		mover=$!
		sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
		kill -KILL $mover 2>/dev/null
		wait $mover 2>/dev/null
		move_root >"$vault/out" 2>&1 || fail "a move that was killed cannot be finished: $(cat "$vault/out")"
		keeper
		continue
	fi
	(ctl shred recording "$id" --yes --reason kill --json >"$vault/promise" 2>/dev/null && echo "$id" >>"$vault/promised") &
	shredder=$!
	sleep "0.0$((RANDOM % 10))"
	kill_keeper
	wait $shredder
	keeper
done
done_now || wait_until $PATIENCE_S done_now
after=$(live_play) || fail "a live recording was lost"
sort -u "$vault/promised" >"$vault/receipts"
list
gone=$(jq '[.[] | select(.account == "crowd" and .state != "sealed")] | length' "$vault/list.json")
[ $((before - gone)) -eq "$after" ] || fail "$before recordings, $gone shredded, $after left"
while read -r id; do
	holds ".[] | select(.id == \"$id\") | .state == \"destroyed\"" || fail "$id was promised to be destroyed, and is not"
	expect 5 ctl play "$id" --reason test
done <"$vault/receipts"
if [ "$gone" -eq 0 ] || [ ! -s "$vault/receipts" ]; then fail "the kills never let a shred through"; fi
expect 0 ctl verify --all
# The control
echo "$(head -n 1 "$vault/receipts") crowd/0.wav" >"$vault/live"
read -r id path <"$vault/live"
plays_as "$id" "$vault/source/$path" && fail "the check would not find a lost recording"
stop_keeper
echo "PASS: $KILLS kills, $gone shredded, $(wc -l <"$vault/receipts") receipts, $after live"
