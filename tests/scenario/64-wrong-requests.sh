#!/bin/bash
# Goal: a second keeper, a second intake, wrong requests and a wrong configuration are turned away, each with a message
# that says what is wrong and where and the documented exit status; what was running goes on undisturbed.
# Negative control: next to the wrong ones, the right request and the right configuration are accepted.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

# --- A second keeper, a second intake; it takes over when the first one ends ---
start_vault
keeper_refuses
says "$vault/refusal" 'another recseal-keeper is running'
: >"$vault/second.log"
"$BUILD/recseald" --state "$state" --spool "$spool" >>"$vault/second.log" 2>&1 &
second=$!
wait_until $PATIENCE_S grep -q 'keeper cannot be reached' "$vault/second.log"
says "$vault/keeper.log" 'intake connection refused: another recseald is connected'
for i in 1 2; do
	make_wav "$vault/$i.wav" $((i * 30000))
	drop "$vault/$i.wav" "one/$i.wav"
	wait_sealed
	[ $i -eq 2 ] || stop_intake
	intake_pid=$second
done
list
holds 'length == 2' || fail "with two intakes: $(jq -c '.[].path' "$vault/list.json")"
for i in 1 2; do plays_as "$(id_of one/$i.wav)" "$vault/$i.wav" || fail "$i of two intakes plays differently"; done

# --- Wrong requests ---
for command in "play NONE --reason test" "show NONE" "verify NONE" "account show nobody" "list --account nobody"; do
	# shellcheck disable=SC2086 # words are meant
	expect 4 ctl ${command/NONE/01kaw5q7v3c2m9x0r8t4e6h1zn}
	says "$vault/err" 'not in this vault'
done
id=$(id_of one/1.wav)
for command in "play $id --reason test" "show $id" "verify $id" "account show one" "list --account one" "list --state sealed"; do
	# shellcheck disable=SC2086
	expect 0 ctl $command
done
for command in frob --frob "list --frob" "show word" play "play $id" verify account "list --state frob"; do
	# shellcheck disable=SC2086
	expect 2 ctl $command
	says "$vault/err" '^recsealctl: '
	[ ! -s "$vault/out" ] || fail "the mistake in '$command' is told on standard output"
done
for program in recseald recseal-keeper recseal-probe age-plugin-recseal; do expect 2 "$BUILD/$program" --frob; done
expect 1 "$BUILD/recsealctl" --socket "$vault/nobody" status
says "$vault/err" 'is recseal-keeper running'
stop_vault

# --- A wrong configuration: told with file and line, and nothing starts ---
misconfigured() { # LINE PATTERN; the file's last lines are standard input
	local file=$vault/recseal.conf option
	{ printf '[spool main]\nPath=%s\n' "$spool" && cat; } >"$file"
	for option in --check-config "--state=$vault/none"; do
		for program in recseald recseal-keeper; do
			expect 1 timeout 60 "$BUILD/$program" --config "$file" "$option"
			says "$vault/err" "^$file:$1: .*$2"
		done
	done
	[ ! -e "$vault/none" ] || fail "it started with a wrong configuration"
}
misconfigured 3 'unknown key Setle= in \[spool\]; known' <<<'Setle=1s'
misconfigured 3 'Path= is already set at .*:2' <<<"Path=$spool"
misconfigured 3 'Settle=soon is not a time span' <<<'Settle=soon'
misconfigured 4 'Jobs=1000 is not a number from 1 to 256' <<<$'[intake]\nJobs=1000'
misconfigured 4 'Keep=0s is out of range: use 1s' <<<$'[class c]\nKeep=0s'
misconfigured 3 'unknown section \[spools\]' <<<$'[spools]\nPath=/x'
misconfigured 1 'there is no class gone' <<<'Class=gone'
printf '[spool main]\nPath=%s\n' "$spool" >"$vault/recseal.conf"
for program in recseald recseal-keeper; do expect 0 "$BUILD/$program" --config "$vault/recseal.conf" --check-config; done
# --- A root that is kept too weakly ---
printf '[keeper]\nRequireAssurance=hw-tpm\n' >"$vault/strict.conf"
keeper_refuses --config "$vault/strict.conf"
says "$vault/refusal" 'RequireAssurance=hw-tpm' 'assurance file'
printf '[keeper]\nRequireAssurance=very\n' >"$vault/strict.conf"
expect 1 "$BUILD/recseal-keeper" --config "$vault/strict.conf" --check-config
says "$vault/err" 'strict.conf:2' 'hw-tpm'
echo "PASS: turned away, and told why"
