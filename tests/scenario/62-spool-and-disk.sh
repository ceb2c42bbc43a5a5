#!/bin/bash
# Goal: when there is no spool, or no room for sealed objects, the plaintext stays where it is, the operator is told
# once, and all goes on by itself as soon as it can.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

for i in 1 2 3 4; do make_wav "$vault/$i.wav" $((i * 100000)); done
all_play() {
	list
	for i in "$@"; do
		plays_as "$(id_of "acme/$i.wav")" "$vault/$i.wav" || fail "$i plays differently"
	done
}
told() { [ "$(grep -acE "$1" "$vault/intake.log")" -eq "$2" ]; }

# A spool that is not there yet, goes away, and is replaced
rmdir "$spool"
printf '[spool main]\nPath=%s\nFirstStart=take\n' "$spool" >"$vault/recseal.conf"
start_keeper
start_configured_intake
wait_until $PATIENCE_S told 'main: .*No such file' 1
wait_until $PATIENCE_S status_holds 'any(.warnings[]; test("main")) and (.spools[0].last_error | length > 5)'
sleep 2.5
told 'No such file' 1 || fail "the missing spool is reported again and again"
mkdir "$spool"
drop "$vault/1.wav" acme/1.wav
wait_sealed
mv "$spool" "$spool.old"
mkdir "$spool"
drop "$vault/2.wav" acme/2.wav
wait_sealed
all_play 1 2
wait_until $PATIENCE_S status_holds '.warnings == [] and .spools[0].last_error == null'

# A link in its place leads to files of others: nothing there is sealed or removed.
mkdir -p "$vault/others/acme"
cp "$vault/3.wav" "$vault/others/acme/3.wav"
mv "$spool" "$spool.moved" && ln -s "$vault/others" "$spool"
wait_until $PATIENCE_S status_holds '.spools[0].last_error | length > 5'
sleep 2.5
cmp "$vault/3.wav" "$vault/others/acme/3.wav" || fail "a link in the spool's place was followed"
rm "$spool" && mv "$spool.moved" "$spool"
drop "$vault/4.wav" acme/4.wav
wait_sealed
all_play 1 2 4
list
holds 'length == 3' || fail "more was sealed than lay in the spool"
stop_vault

# A full disk for the objects
if ! is_root; then
	echo "PASS: a spool that comes and goes (not root: no small filesystem to fill)"
	exit 0
fi
unmount() {
	local status=$?
	umount -l "$state/objects" 2>/dev/null
	(exit $status)
	cleanup
}
trap unmount EXIT
rm -rf "$state"
mkdir -p "$state/objects"
mount -t tmpfs -o size=500k tmpfs "$state/objects" 2>"$vault/err" || {
	echo "PASS: a spool that comes and goes (tmpfs cannot be mounted here: $(cat "$vault/err"))"
	exit 0
}
: >"$vault/intake.log"
start_keeper
start_configured_intake
for i in 1 2 3 4; do drop "$vault/$i.wav" "acme/$i.wav"; done
wait_until $PATIENCE_S told 'No space left' 1
wait_until $PATIENCE_S status_holds '.spool.waiting > 0 and .spool.oldest_unsealed_s > 0 and any(.warnings[]; test("space"))'
sleep 4
told 'No space left' 1 || fail "the full disk is reported again and again: $(grep -c 'No space' "$vault/intake.log")"
for i in 1 2 3 4; do
	if [ -e "$spool/acme/$i.wav" ]; then
		cmp "$vault/$i.wav" "$spool/acme/$i.wav" || fail "the plaintext of $i was touched"
	else
		all_play "$i"
	fi
done
[ "$(find "$spool" -name '*.wav' | wc -l)" -ge 2 ] || fail "the disk was not full"
mount -o remount,size=5m "$state/objects"
wait_sealed
all_play 1 2 3 4
[ "$(jq length "$vault/list.json")" -eq 4 ] || fail "something is sealed twice"
wait_until $PATIENCE_S told 'works again' 1
wait_until $PATIENCE_S status_holds '.warnings == []'
[ -z "$(find "$state/objects" -name '.unnamed-*')" ] || fail "half-written objects stay"
[ "$(count_objects)" -eq 4 ] || fail "$(count_objects) objects"
expect 0 ctl verify --all
stop_vault
echo "PASS: nothing was lost for want of a spool or of room"
