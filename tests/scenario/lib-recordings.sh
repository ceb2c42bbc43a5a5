# shellcheck shell=bash disable=SC2119,SC2120
# What the scenarios share beyond lib.sh: recordings to drop, the catalog, exit codes and what is said, single bytes.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export LC_ALL=C.UTF-8
PATIENCE_S=120 # of waits that end at once when all is well
mkdir -p "$spool"

is_root() {
	[ "$(id -u)" -eq 0 ]
}

# --- Programs ---

# expect STATUS COMMAND...: its output is in $vault/out and $vault/err afterwards
expect() {
	local wanted=$1 got
	shift
	"$@" >"$vault/out" 2>"$vault/err"
	got=$?
	[ $got -eq "$wanted" ] || fail "$*: exit status $got instead of $wanted: $(head -c 600 "$vault/err")"
}

# says FILE PATTERN...: every pattern (grep -E, case ignored) is in the file
says() {
	local file=$1 pattern
	shift
	for pattern; do
		grep -qaiE -e "$pattern" "$file" || fail "'$pattern' is not said in: $(head -c 1200 "$file")"
	done
}

# keeper_refuses [OPTION...]: it ends by itself, unsuccessfully, and not by a crash; why is in $vault/refusal
keeper_refuses() {
	local status=0
	timeout -k 5 60 "$BUILD/recseal-keeper" --state "$state" "$@" >"$vault/refusal" 2>&1 </dev/null || status=$?
	case $status in
	0 | 124) fail "the keeper starts: $(cat "$vault/refusal")" ;;
	1) ;;
	*) fail "the keeper ends with status $status: $(cat "$vault/refusal")" ;;
	esac
}

# The intake on the spools of $vault/recseal.conf instead
start_configured_intake() {
	"${PREFIX[@]}" "$BUILD/recseald" --state "$state" --config "$vault/recseal.conf" >>"$vault/intake.log" 2>&1 &
	intake_pid=$!
	wait_until 60 intake_ready
}

# Unclean: nothing is flushed, nobody is told.
kill_keeper() {
	kill -KILL "$keeper_pid"
	wait "$keeper_pid" 2>/dev/null
	keeper_pid=''
}

kill_intake() {
	kill -KILL "$intake_pid"
	wait "$intake_pid" 2>/dev/null
	intake_pid=''
}

# --- Recordings ---

# noise FILE BYTES: a file nobody has seen before
noise() {
	head -c "$2" /dev/urandom >"$1"
}

# A 32-bit number, little-endian, as escapes for printf %b
le32() {
	printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

# wav_header BYTES: of telephone audio, 8 kHz, 16 bit, mono
wav_header() {
	printf 'RIFF%bWAVEfmt %b\x01\x00\x01\x00%b%b\x02\x00\x10\x00data%b' "$(le32 $(($1 + 36)))" "$(le32 16)" \
		"$(le32 8000)" "$(le32 16000)" "$(le32 "$1")"
}

# make_wav FILE BYTES: with that many bytes of noise for audio
make_wav() {
	{
		wav_header "$2"
		head -c "$2" /dev/urandom
	} >"$1"
}

# drop FILE ACCOUNT/NAME: as a careful bridge does it, complete from its first moment under that name
drop() {
	local aside="$spool/.copy-of-${1##*/}"
	case $2 in */*) mkdir -p "$spool/${2%/*}" ;; esac
	cp "$1" "$aside" || fail "cannot copy $1"
	mv "$aside" "$spool/$2" || fail "cannot drop $2"
}

wait_sealed() {
	wait_until "$PATIENCE_S" spool_is_empty
}

# --- The catalog ---

# list [OPTION...]: the catalog, in $vault/list.json
list() {
	ctl list --json "$@" >"$vault/list.json" || fail "list does not work"
}

# holds FILTER: whether a jq filter is true of the catalog, or of another FILE
holds() {
	jq -e "$1" "${2:-$vault/list.json}" >/dev/null
}

# list_holds FILTER: of the catalog as it is now, for wait_until
list_holds() {
	list
	holds "$1"
}

status_holds() {
	ctl status --json >"$vault/status.json" 2>/dev/null && holds "$1" "$vault/status.json"
}

# id_of PATH: the recording with this path, by the catalog last listed
id_of() {
	local id
	id=$(jq -r --arg path "$1" '.[] | select(.path == $path) | .id' "$vault/list.json")
	[ -n "$id" ] || fail "$1 is not in the catalog" >&2
	echo "$id"
}

# object_of ID: the file it is sealed in, by the catalog last listed
object_of() {
	echo "$state/objects/$(jq -r --arg id "$1" '.[] | select(.id == $id) | .object' "$vault/list.json")"
}

# plays_as ID FILE: whether it plays, to the end, what the file holds
plays_as() {
	ctl play "$1" --reason scenario 2>"$vault/err" | cmp -s - "$2"
}

count_objects() {
	find "$state/objects" -name '*.age' | wc -l
}

# seal N NAME: N small recordings of the account NAME, by an intake of its own; their originals stay in $vault/source
seal() {
	local i
	start_intake
	for ((i = 0; i < $1; i++)); do
		[ -e "$vault/source/$2/$i.wav" ] || { mkdir -p "$vault/source/$2" && make_wav "$vault/source/$2/$i.wav" $((500 + i)); }
		drop "$vault/source/$2/$i.wav" "$2/$i.wav"
	done
	wait_sealed
	stop_intake
}

# Every recording that is sealed plays; prints how many.
live_play() {
	local id path
	list
	jq -r '.[] | select(.state == "sealed") | .id + " " + .path' "$vault/list.json" >"$vault/live"
	while read -r id path; do
		plays_as "$id" "$vault/source/$path" || return 1
	done <"$vault/live"
	wc -l <"$vault/live"
}

# --- Bytes ---

# byte_at FILE OFFSET, in decimal
byte_at() {
	od -An -v -tu1 -j "$2" -N 1 "$1" | tr -d ' '
}

# put_byte FILE OFFSET VALUE
put_byte() {
	printf '%b' "$(printf '\\x%02x' "$3")" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# flip_byte FILE OFFSET: its lowest bit; twice is not at all
flip_byte() {
	put_byte "$1" "$2" $(($(byte_at "$1" "$2") ^ 1))
}

BLOCK_BYTES=4096 # a page of the database, a slot of the root file

# spoil FILE BLOCK [BLOCKS]: overwrites them with bytes that make no sense
spoil() {
	tr '\0' '\245' </dev/zero | dd of="$1" bs=$BLOCK_BYTES seek="$2" count="${3:-1}" iflag=fullblock conv=notrunc status=none
}
