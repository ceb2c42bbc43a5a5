#!/bin/bash
# Goal: whatever lies in a spool is either sealed byte by byte, or left exactly as it is and reported once: empty and
# mislabelled files, lying headers, files still being written, links, pipes, devices, folders, names used twice.
# Negative control: beside each of them lies an ordinary recording, which is sealed.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq mkfifo

cat >"$vault/recseal.conf" <<-END
	[spool odd]
	Path=$spool
	[intake]
	Rescan=1s
END
A=$spool/acme
mkdir -p "$A" "$vault/elsewhere"
start_keeper
start_configured_intake

in_catalog() { list && holds "any(.[]; .path == \"$1\")"; }

# sealed_as NAME CONDITION: once, byte by byte, with this label
sealed_as() {
	wait_until $PATIENCE_S in_catalog "acme/$1"
	holds "[.[] | select(.path == \"acme/$1\")] | length == 1 and .[0].state == \"sealed\" and .[0].condition == \"$2\"" ||
		fail "$1 is not sealed as $2: $(jq -c ".[] | select(.path == \"acme/$1\")" "$vault/list.json")"
	plays_as "$(id_of "acme/$1")" "$vault/$1" || fail "$1 plays differently"
}

# Mislabelled, lying, cut short: sealed as they are
make_wav "$vault/good.wav" 30000
echo 'no audio at all, this' >"$vault/text.wav"
{
	wav_header 0 && head -c 24000 /dev/urandom
} >"$vault/zero.wav"
printf '\x00\x00\x00\x00' | dd of="$vault/zero.wav" bs=1 seek=4 conv=notrunc status=none # as a bridge that was killed leaves it
{
	wav_header 1000000000 && head -c 24000 /dev/urandom
} >"$vault/boast.wav"
wav_header 0 >"$vault/hollow.wav"
head -c 20 "$vault/good.wav" >"$vault/stump.wav"
noise "$vault/noise.ulaw" 8000
for each in good.wav text.wav zero.wav boast.wav hollow.wav stump.wav noise.ulaw; do drop "$vault/$each" "acme/$each"; done
sealed_as good.wav ok
sealed_as text.wav unprobed
sealed_as zero.wav damaged
sealed_as boast.wav damaged
sealed_as hollow.wav empty
sealed_as stump.wav empty
sealed_as noise.ulaw unprobed

# Never: links in and out of the spool, more than one name, pipes, devices, folders
cp "$vault/good.wav" "$vault/elsewhere/secret.wav"
ln -s "$vault/elsewhere/secret.wav" "$A/out.wav"
ln -s good2.wav "$A/in.wav"
ln -s "$vault/elsewhere" "$spool/linked-account"
cp "$vault/good.wav" "$vault/elsewhere/hard.wav" && ln "$vault/elsewhere/hard.wav" "$A/hard.wav"
mkfifo "$A/fifo.wav"
mkdir "$A/folder.wav"
refused=5
if is_root && mknod "$A/null.wav" c 1 3 2>"$vault/err"; then refused=6; fi
: >"$A/empty.wav"
(cd "$spool" && find . -printf '%P %y %i %n %s %T@ %l\n' | grep -v '^ \|^acme d' | sort) >"$vault/before"

# Still being written: with pauses far longer than the settle time, and once closed and opened again
exec 7>"$A/slow.wav"
head -c 20000 "$vault/good.wav" >&7
sleep 2.5
cp "$vault/good.wav" "$vault/slow.wav"
cp "$vault/good.wav" "$vault/again.wav"
head -c 10000 "$vault/good.wav" >"$A/again.wav"
exec 8>>"$A/again.wav"
drop "$vault/good.wav" acme/good3.wav
wait_until $PATIENCE_S in_catalog acme/good3.wav
sleep 1.5
list
holds 'all(.[]; .name != "slow.wav" and .name != "again.wav")' || fail "a file was sealed while it was written"
tail -c +20001 "$vault/good.wav" >&7
tail -c +10001 "$vault/good.wav" >&8
exec 7>&- 8>&-
sealed_as slow.wav ok
sealed_as again.wav ok

# A bridge that makes its file first and writes it later
: >"$A/later.wav"
sleep 1.2
cp "$vault/good.wav" "$vault/later.wav"
cat "$vault/good.wav" >"$A/later.wav"
sealed_as later.wav ok

# A refused file is counted, reported once by its inode however often it is found, and untouched.
wait_until $PATIENCE_S status_holds ".spool.refused == $refused and .spool.waiting == 0"
says "$vault/status.json" "$refused files cannot be sealed"
(cd "$spool" && find . -printf '%P %y %i %n %s %T@ %l\n' | grep -v '^ \|^acme d' | sort) | diff "$vault/before" - >"$vault/diff" ||
	fail "what is left alone was touched: $(cat "$vault/diff")"
for each in "$A"/{out,in,hard,fifo,null}.wav "$spool/linked-account"; do
	[ -e "$each" ] || [ -L "$each" ] || continue
	inode=$(stat -c %i "$each")
	[ "$(grep -c "inode $inode " "$vault/intake.log")" -eq 1 ] || fail "${each##*/} was reported $(grep -c "inode $inode " "$vault/intake.log") times"
done
cmp "$vault/good.wav" "$vault/elsewhere/secret.wav" || fail "the target of a link was touched"
list
holds 'all(.[]; .name | test("^(in|out|hard|fifo|null|empty|secret|folder)[.]wav$") | not)' || fail "something was sealed that never should"
grep -aE '(out|in|hard|fifo)\.wav' "$vault/intake.log" && fail "the log tells file names"

# One name twice is two recordings; a hard link that goes away leaves an ordinary file.
make_wav "$vault/first.wav" 5000
make_wav "$vault/second.wav" 6000
for each in first second; do
	drop "$vault/$each.wav" acme/same.wav
	gone() { [ ! -e "$A/same.wav" ]; }
	wait_until $PATIENCE_S gone
done
list
for each in first second; do
	id=$(jq -r "[.[] | select(.name == \"same.wav\")] | sort_by(.sealed_at, .id)[] | select(.plaintext_bytes == $(stat -c %s "$vault/$each.wav")) | .id" "$vault/list.json")
	plays_as "$id" "$vault/$each.wav" || fail "the $each of two recordings of one name is lost"
done
rm "$vault/elsewhere/hard.wav"
cp "$vault/good.wav" "$vault/hard.wav"
sealed_as hard.wav ok

# At the top of the spool there is no account.
drop "$vault/good.wav" stray.wav
wait_until $PATIENCE_S in_catalog stray.wav
holds '.[] | select(.path == "stray.wav") | .state == "quarantined" and (.quarantine_reason | length > 10)' || fail "the stray one is not in quarantine"
plays_as "$(id_of stray.wav)" "$vault/good.wav" || fail "the one in quarantine does not play"
expect 0 ctl verify --all
stop_vault
echo "PASS: sealed, or left alone and reported once"
