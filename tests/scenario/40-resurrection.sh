#!/bin/bash
# Goal: keeper state copied before a shred and put back is refused at start, whichever parts of it are put back and in
# whatever way, with a message about the epochs; a refusal changes nothing; and nothing of it opens a shredded
# recording. A copy made after the last shred is taken, once an administrator states its epoch, and everything plays.
# Negative control: after every refusal the present state is put in its place again, and serves.
#
# One thing is not claimed: with everything put back, objects too, nothing here remembers the later epoch, and only
# the administrator can tell that the epoch he states is not the last. That is the meaning of assurance `file`.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq age

K=$state/keeper
start_vault
for i in 1 2 3; do
	make_wav "$vault/$i.wav" $((i * 20000))
	drop "$vault/$i.wav" "doomed/$i.wav"
	drop "$vault/$i.wav" "bystander/$i.wav"
done
wait_sealed
list
doomed=$(id_of doomed/1.wav)
object=$(object_of "$doomed")
plays_as "$doomed" "$vault/1.wav" || fail "it does not play before the shred"
stop_vault

cp -a "$state" "$vault/before"
start_keeper
expect 0 ctl shred account doomed --yes --reason test
stop_keeper
cp -a "$state" "$vault/now"
ln "$K/root.slots" "$vault/root.slots" || fail "no hard links here"

# The present state, with the root file itself and not a copy of it: a copy would be refused for that alone.
present() {
	rm -rf "$state"
	cp -a "$vault/now" "$state"
	ln -f "$vault/root.slots" "$K/root.slots"
	cat "$vault/now/keeper/root.slots" >"$vault/root.slots"
}

serves() {
	start_keeper
	expect 5 ctl play "$doomed" --reason test
	list
	for i in 1 2 3; do
		plays_as "$(id_of "bystander/$i.wav")" "$vault/$i.wav" || fail "$i of the other account does not play"
	done
	stop_keeper
}

# Ways to put the past back
everything() { rm -rf "$state" && cp -a "$vault/before" "$state"; }
everything_in_place() { cp -a "$vault/before/." "$state/"; }
keeper_folder() { rm -rf "$K" && cp -a "$vault/before/keeper" "$K"; }
keeper_folder_in_place() { cp -a "$vault/before/keeper/." "$K/"; }
database() { rm -f "$K"/keeper.db* && cp -a "$vault/before/keeper/"keeper.db* "$K/"; }
root_file() { cp -a --remove-destination "$vault/before/keeper/root.slots" "$K/"; }
root_file_in_place() { cat "$vault/before/keeper/root.slots" >"$K/root.slots"; }

# refused WAY [OPTION]
refused() {
	present
	"$1"
	rm -rf "$vault/tried"
	cp -a "$state" "$vault/tried"
	keeper_refuses "${@:2}"
	says "$vault/refusal" epoch 'copy|restored'
	ctl status >"$vault/out" 2>&1 && fail "$*: it serves"
	# (With an option the root file may have been adopted, before the keys in it were refused.)
	[ $# -gt 1 ] && return
	says "$vault/refusal" erasure destroyed
	diff -r -x run -x 'keeper.db-*' "$vault/tried" "$state" >"$vault/diff" || fail "$*: the refusal changed something: $(cat "$vault/diff")"
}

present
serves
for way in everything everything_in_place keeper_folder keeper_folder_in_place database root_file root_file_in_place; do
	refused $way
	refused $way --accept-restored=2
	[ $way = everything ] || refused $way --accept-restored=1
	refused $way --accept-restored=3
	present
	serves
done

# The root file lost, or a vault without its keeper: no new keys over old recordings
present
rm "$K/root.slots"
keeper_refuses
says "$vault/refusal" 'no root.slots' 'no new root'
present
rm -rf "$K"
keeper_refuses
says "$vault/refusal" 'no keys' 'no new vault'

# The sealed object put back alone opens for nobody, and disturbs nobody.
present
mkdir -p "${object%/*}"
cp -a "$vault/before/objects/${object#"$state/objects/"}" "$object"
start_keeper
expect 5 ctl play "$doomed" --reason test
PATH=$BUILD:$PATH age -d -j recseal "$object" >"$vault/out" 2>"$vault/err" && fail "age opens a shredded recording"
[ ! -s "$vault/out" ] || fail "age writes something of a shredded recording"
says "$vault/err" 'shredded|destroyed|gone'
stop_keeper

# A copy from after the shred: refused until it is accepted by its epoch, once; then like any other state.
rm -rf "$state"
cp -a "$vault/now" "$state"
keeper_refuses
says "$vault/refusal" 'epoch' '--accept-restored'
keeper_refuses --accept-restored=1
expect 2 "$BUILD/recseal-keeper" --state "$state" --accept-restored=x
says "$vault/err" 'takes an epoch'
expect 0 "$BUILD/recseal-keeper" --state "$state" --accept-restored=2
serves
start_vault
make_wav "$vault/new.wav" 9999
drop "$vault/new.wav" bystander/new.wav
wait_sealed
list
plays_as "$(id_of bystander/new.wav)" "$vault/new.wav" || fail "nothing new is sealed after the restore"
stop_vault
echo "PASS: the past is refused, the present is served"
