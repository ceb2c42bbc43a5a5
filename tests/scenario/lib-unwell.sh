# shellcheck shell=bash
# What the scenarios of an unwell machine share: recordings that are all accounted for, and how often a message may
# appear.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib-recordings.sh"

number=0
told() { [ "$(grep -acE "$1" "$vault/intake.log")" -ge 1 ]; }
# told_at_most_once PATTERN: a fault that goes on is reported again, with a count, once a minute
quiet_since=$SECONDS
told_at_most_once() {
	local times
	times=$(grep -acE "$1" "$vault/intake.log")
	[ "$times" -le $((1 + (SECONDS - quiet_since) / 60)) ] || fail "'$1' is told $times times: $(tail -n 30 "$vault/intake.log")"
}
told_once() {
	told "$1" || fail "'$1' is not told: $(tail -n 30 "$vault/intake.log")"
	told_at_most_once "$1"
}
quiet_again() {
	: >"$vault/intake.log"
	quiet_since=$SECONDS
}

# drop_some N [BYTES]: so many new recordings, remembered in $vault/source
drop_some() {
	local i
	mkdir -p "$vault/source"
	for ((i = 0; i < $1; i++)); do
		number=$((number + 1))
		make_wav "$vault/source/$number.wav" $((${2:-1000} + number))
		drop "$vault/source/$number.wav" "acme/$number.wav"
	done
}

# Nothing lost, nothing twice, all of it plays (each is played once); what waits has its plaintext.
declare -A played=()
all_accounted_for() {
	local i id
	list
	holds "[.[].path] | length == (unique | length)" || fail "something is sealed twice"
	for ((i = 1; i <= number; i++)); do
		[ -z "${played[$i]-}" ] || continue
		if [ -e "$spool/acme/$i.wav" ]; then
			cmp "$vault/source/$i.wav" "$spool/acme/$i.wav" || fail "the plaintext of $i was touched"
		else
			id=$(jq -r --arg path "acme/$i.wav" '.[] | select(.path == $path) | .id' "$vault/list.json")
			plays_as "$id" "$vault/source/$i.wav" || fail "$i plays differently, or is lost"
			played[$i]=yes
		fi
	done
}

all_sealed() {
	wait_sealed
	all_accounted_for
	[ "$(jq length "$vault/list.json")" -eq $number ] || fail "$(jq length "$vault/list.json") recordings of $number"
}
