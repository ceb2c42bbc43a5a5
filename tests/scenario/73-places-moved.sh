#!/bin/bash
# Goal: places that are not what they were are looked at by path. The volume of the objects is not mounted when the keeper
# starts, or goes away while it runs: nothing is sealed into the empty mount point, the plaintext stays, status and
# doctor say why, and all goes on by itself when it is back. root.slots is moved away under the running keeper: status,
# doctor and root show say so, and no longer once it is back.
# Negative control: the same vault seals before and after, and nothing is said then.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need jq

PATIENCE_S=60
status_holds() { ctl --json status | jq -e "$1" >/dev/null; }
sealed() { status_holds ".recordings.sealed == $1"; }
doctor_says() { grep -q "^CHANGE.*$1" <<<"$(ctl doctor)"; }
drop() { head -c 5000 /dev/urandom >"$spool/acme/$1.raw"; }
plain() { find "$spool" -name '*.raw' | wc -l; }
well() { status_holds '[.warnings[] | select(test("folder|root"))] == []'; }

mkdir -p "$spool/acme"
start_vault
drop a
wait_until $PATIENCE_S sealed 1
well || fail "it warns of nothing: $(ctl status)"
stop_vault

# Not mounted at the start.
mv "$state/objects" "$vault/volume"
mkdir "$state/objects"
start_vault
drop b
wait_until $PATIENCE_S status_holds 'any(.warnings[]; test("is not the folder with this vault.s objects"))'
sleep 2
[ "$(plain)" -eq 1 ] || fail "the plaintext is gone"
[ -z "$(find "$state/objects" -type f)" ] || fail "something was written below the mount point: $(find "$state/objects")"
doctor_says 'mount the volume' || fail "doctor: $(ctl doctor)"
id=$(ctl --json list | jq -r '.[0].id')
ctl play "$id" --reason test -o "$vault/out" 2>"$vault/err" && fail "played without objects"
grep -q 'volume mounted' "$vault/err" || fail "play says: $(cat "$vault/err")"
rmdir "$state/objects"
mv "$vault/volume" "$state/objects"
wait_until $PATIENCE_S sealed 2
# The intake reports every few seconds.
wait_until $PATIENCE_S well
ctl verify --all >/dev/null || fail "verify"

# Away while it runs, and a shred meanwhile.
mv "$state/objects" "$vault/volume"
mkdir "$state/objects"
drop c
wait_until $PATIENCE_S status_holds 'any(.warnings[]; test("was its volume unmounted"))'
sleep 2
[ "$(plain)" -eq 1 ] || fail "the plaintext is gone"
ctl shred recording "$id" --yes --reason test >/dev/null || fail "keys need no objects to be erased"
sleep 2
[ -z "$(find "$state/objects" -type f)" ] || fail "something was written into the other folder"
rmdir "$state/objects"
mv "$vault/volume" "$state/objects"
removed() { [ "$(find "$state/objects" -name '*.age' | wc -l)" -eq 2 ]; }
wait_until $PATIENCE_S sealed 2
wait_until $PATIENCE_S removed
[ -e "$state/objects/epoch-2" ] || wait_until $PATIENCE_S test -e "$state/objects/epoch-2"
wait_until $PATIENCE_S well

# root.slots moved away.
mv "$state/keeper/root.slots" "$vault/root.slots"
status_holds 'any(.warnings[]; test("the root .*missing"))' || fail "status: $(ctl status)"
doctor_says 'root.slots is missing' || fail "doctor: $(ctl doctor)"
ctl --json root show | jq -e '.[0].state == "away"' >/dev/null || fail "root show: $(ctl root show)"
ctl root test >/dev/null 2>&1 && fail "root test says that all is well"
mv "$vault/root.slots" "$state/keeper/root.slots"
in_use() { ctl --json root show | jq -e '.[0].state == "in use"' >/dev/null; }
wait_until $PATIENCE_S in_use
wait_until $PATIENCE_S well
drop d
wait_until $PATIENCE_S sealed 3
stop_vault
echo "PASS: objects away at the start and later, root.slots away; nothing lost, all said"
