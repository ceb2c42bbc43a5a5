#!/bin/bash
# Goal: the doctor reports for each spool and for the keeper what is fine and what to change, from what the intake
# really found; its exit status says whether anything is to change; and it changes nothing.
# Negative control: what is put right again is fine again.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq
chmod 750 "$spool"
mkdir -p "$spool/acme"

# examine: its findings, in $vault/doctor.json; the exit status must fit them, whatever this machine is like
examine() {
	local status=0
	ctl doctor --json >"$vault/doctor.json" 2>"$vault/err" || status=$?
	holds 'length > 0' "$vault/doctor.json" || fail "the doctor says nothing: $(cat "$vault/err")"
	if holds 'all(.[]; .fine)' "$vault/doctor.json"; then
		[ $status -eq 0 ] || fail "all is fine, but the exit status is $status"
	else
		[ $status -eq 1 ] || fail "something is to change, but the exit status is $status"
	fi
}

# says_of FILTER: for wait_until, since the intake reports every few seconds
says_of() {
	examine
	holds "$1" "$vault/doctor.json"
}
wants_change() { wait_until $PATIENCE_S says_of "any(.[]; .where == \"$1\" and .what == \"$2\" and (.fine | not) and (.advice | length > 5))"; }
is_fine() { wait_until $PATIENCE_S says_of "[.[] | select(.where == \"$1\" and .what == \"$2\")] | length > 0 and all(.[]; .fine)"; }
spools_are_fine() { wait_until $PATIENCE_S says_of '[.[] | select(.where | startswith("spool"))] | length >= 7 and all(.[]; .fine)'; }

start_vault
spools_are_fine
is_fine keeper root
is_fine keeper clock
is_fine intake connection
expect "$(holds 'all(.[]; .fine)' "$vault/doctor.json" && echo 0 || echo 1)" ctl doctor
says "$vault/out" '^fine +spool default, filesystem: .*leases' '[0-9]+ to change, [0-9]+ fine$' "mode $(stat -c %04a "$spool")"

chmod o+w "$spool"
wants_change 'spool default' owner
chmod o-w "$spool"
spools_are_fine

ln -s nowhere "$spool/acme/link.wav"
wants_change 'spool default' files
[ -L "$spool/acme/link.wav" ] || fail "the doctor operated"
rm "$spool/acme/link.wav"

mv "$spool" "$vault/elsewhere"
wants_change 'spool default' folder
mv "$vault/elsewhere" "$spool"
is_fine 'spool default' owner

make_wav "$vault/stray.wav" 1000
drop "$vault/stray.wav" stray.wav
wants_change keeper quarantine
list
expect 0 ctl shred recording "$(id_of stray.wav)" --yes --reason "nobody's"
is_fine keeper quarantine

if ! is_root; then
	chmod u-w "$spool"
	wants_change 'spool default' access
	chmod u+w "$spool"
	is_fine 'spool default' access
fi

stop_intake
wants_change intake connection
expect 1 ctl doctor
says "$vault/out" '^CHANGE +intake, connection: .* To do: start recseald'
stop_keeper
expect 1 ctl doctor
says "$vault/err" 'keeper'
echo "PASS: what is fine is fine, and what is not is said"
