#!/bin/bash
# Goal: the probe looks at hostile bytes. Its death, silence, nonsense or absence keeps no recording from being sealed
# byte by byte, as `unprobed` and with the reason, and none behind it waiting; killed again and again it comes back; and
# the real one is confined by the kernel.
# Negative control: the reason names each fault, so it did happen; the same files are `ok` when the probe is let alone;
# and this shell is not confined.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq pgrep

# probe_with [KEY=VALUE...]: the intake, with the program $vault/probe
probe_with() {
	printf '%s\n' '[spool main]' "Path=$spool" 'Settle=50ms' '[intake]' "$@" >"$vault/recseal.conf"
	start_configured_intake
}

# A program in place of the probe: descriptor 3 is the socket, and there is no environment.
fake() {
	rm -f "$vault/probe"
	{
		echo '#!/bin/bash'
		declare -f le32 record
		cat
	} >"$vault/probe"
	chmod +x "$vault/probe"
}

# record CONDITION: of the job whose number is on standard input, as one datagram
record() {
	{
		printf 'RSPR%b' "$(le32 2)"
		head -c 4
		printf "%b" "$(le32 "$1")$(le32 1)$(le32 8000)$(le32 100)$(le32 0)"
		head -c 136 /dev/zero
	} | dd bs=168 iflag=fullblock status=none >&3
}

# dropped N NAME: N new ones below $vault/source too
dropped() {
	local i
	mkdir -p "$vault/source"
	for ((i = 1; i <= $1; i++)); do
		make_wav "$vault/source/$2-$i.wav" $((1000 + 4001 * i))
		drop "$vault/source/$2-$i.wav" "acme/$2-$i.wav"
	done
}

# sealed_although WHAT PATTERN: six at once, though the probe is as it is
sealed_although() {
	probe_with "Probe=$vault/probe" 'ProbeTimeout=100ms'
	dropped 6 "$1"
	wait_sealed
	stop_intake
	list
	holds "[.[] | select(.name | startswith(\"$1-\"))] | length == 6 and all(.[]; .state == \"sealed\"
		and .condition == \"unprobed\" and (.damage | test(\"$2\")))" ||
		fail "a probe that $1: $(jq -c ".[] | select(.name | startswith(\"$1-\")) | [.condition, .damage]" "$vault/list.json")"
}

all_play() {
	list
	holds 'all(.[]; .state == "sealed") and ([.[].path] | unique | length) == length' || fail "lost, or sealed twice"
	[ "$(jq length "$vault/list.json")" -eq "$(find "$vault/source" -type f | wc -l)" ] || fail "not every recording is in the catalog"
	while read -r id name; do
		plays_as "$id" "$vault/source/$name" || fail "$name plays differently"
	done < <(jq -r '.[] | "\(.id) \(.name)"' "$vault/list.json")
}

start_keeper
# shellcheck disable=SC2016 # the fakes' own variables
{
	fake <<<'exit 0'
	sealed_although exits 'died|not running'
	fake <<<'kill -KILL $$'
	sealed_although is-killed 'died|not running'
	fake <<<'exec sleep 1000'
	sealed_although hangs 'does not answer'
	fake <<<'printf "RIFF or so" >&3; exec sleep 1000'
	sealed_although talks-nonsense 'nonsense|not running'
	fake <<<'exec cat /dev/zero >&3'
	sealed_although floods 'nonsense|died|not running'
	fake <<<'printf %b "$(le32 77)" | record 0; exec sleep 1000'
	sealed_although answers-unasked 'nonsense|not running'
	fake <<<'while head -c 8 <&3 | record 77; do :; done'
	sealed_although answers-impossible 'nonsense|not running'
}
chmod -x "$vault/probe"
sealed_although may-not-run 'could not start: Permission denied|not running'
rm "$vault/probe"
sealed_although is-missing 'could not start: No such file|not running'
all_play

# Silent about one file, for longer than anybody waits: those after it are sealed all the same.
# shellcheck disable=SC2016
fake <<-END
	head -c 8 <&3 >"$vault/asked"
	while head -c 8 <&3 | record 0; do :; done
END
probe_with "Probe=$vault/probe" 'ProbeTimeout=10min'
dropped 1 silent
wait_until $PATIENCE_S test -s "$vault/asked"
dropped 12 behind
wait_until $PATIENCE_S list_holds '[.[] | select(.name | startswith("behind-")) | .condition] == [range(12) | "ok"]'
cmp "$vault/source/silent-1.wav" "$spool/acme/silent-1.wav" || fail "the one the probe is silent about was touched"
kill_probes() {
	local server
	server=$(pgrep -P "$intake_pid") || return 0
	pgrep -P "$server" >"$vault/children" && xargs kill -KILL <"$vault/children" 2>/dev/null
	kill -KILL "$server" 2>/dev/null
}
kill_probes
wait_sealed
list_holds '.[] | select(.name == "silent-1.wav") | .condition == "unprobed" and (.damage | test("died|nonsense"))' || fail "the silent one is sealed otherwise"
stop_intake

# The real one, killed with its children while it works
probe_with
rounds=0
both_seen() { list_holds '([.[] | select(.name | startswith("killed-")) | .condition] | group_by(.)[] | length) | select(. > 4)' &&
	list_holds '[.[] | select(.name | startswith("killed-")) | .condition] | unique == ["ok", "unprobed"]'; }
until [ $rounds -ge 20 ] && both_seen; do
	rounds=$((rounds + 1))
	[ $rounds -lt 100 ] || fail "$rounds rounds, and not both: some probed, some killed"
	dropped 5 "killed-$rounds"
	until spool_is_empty; do
		kill_probes
		sleep 0.0$((RANDOM % 10))
	done
done
all_play
let_alone() {
	probes=$((${probes-0} + 1))
	dropped 1 "alone-$probes"
	wait_sealed
	list_holds ".[] | select(.name == \"alone-$probes-1.wav\") | .condition == \"ok\""
}
wait_until $PATIENCE_S let_alone

# Confined: the server, and a child, which strace makes dawdle at its first look into a file
confined() {
	grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$1/status" && grep -q '^Seccomp:[[:space:]]*2$' "/proc/$1/status" &&
		grep -q '^CapEff:[[:space:]]*0*$' "/proc/$1/status" && grep -q '^Max core file size *0 *0 ' "/proc/$1/limits"
}
confined $$ && fail "even this shell is confined: that tells nothing"
confined "$(pgrep -P "$intake_pid")" || fail "the probe's server is not confined: $(cat "/proc/$(pgrep -P "$intake_pid")/status")"
stop_intake
note="strace is missing, or does not work here: no child of the probe was looked at"
if strace -o "$vault/trace" true 2>"$vault/err"; then
	fake <<-END
		exec strace -f -o "$vault/trace" -e trace=pread64 -e inject=pread64:delay_enter=1000000:when=1 "$BUILD/recseal-probe"
	END
	probe_with "Probe=$vault/probe"
	caught() {
		local child
		spool_is_empty && dropped 1 "traced-$((traced++))"
		for child in $(pgrep -P "$(pgrep -P "$(pgrep -P "$intake_pid")")"); do
			# Past the last of its limits, it is as confined as it will be.
			grep -q '^Max processes *0 *0 ' "/proc/$child/limits" && confined "$child" && return
		done 2>"$vault/err"
		return 1
	}
	traced=0
	wait_until $PATIENCE_S caught
	wait_sealed
	stop_intake
	note="and its children"
fi
all_play
expect 0 ctl verify --all
stop_keeper
echo "PASS: $(jq length "$vault/list.json") recordings, $rounds rounds of kills; the probe's server is confined, $note"
