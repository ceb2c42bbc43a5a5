#!/bin/bash
# Goal: every recording is tagged with the class of its spool and the time it expires, 30 days after it was sealed by
# default; it is destroyed then, never before and soon after, by itself, also when the time came while the keeper was
# down, many in one epoch; all others stay untouched, and no clock that is set back brings anything back.
# Negative control: the check of the times finds an expiry that comes early when it is shown one.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq

for name in plain long brief batch; do mkdir "$spool/$name"; done
cat >"$vault/recseal.conf" <<-END
	[class long]
	Keep=5y
	[class brief]
	Keep=2s
	[class batch]
	Keep=6s
	[spool plain]
	Path=$spool/plain
	Settle=50ms
	[spool long]
	Path=$spool/long
	Settle=50ms
	Class=long
	[spool brief]
	Path=$spool/brief
	Settle=50ms
	Class=brief
	[spool batch]
	Path=$spool/batch
	Settle=50ms
	Class=batch
END
for i in 1 2 3; do make_wav "$vault/$i.wav" $((i * 5000)); done
touch -d '40 days ago' "$vault/3.wav" # its own date is no reason to expire it on arrival

# What the list says in seconds: to whole ones, rounded down
TIMES='def expires: .expires_at | fromdate; def keeps: expires - (.sealed_at | fromdate);'

# never_early FILE: in a list that was made before this moment
never_early() {
	jq -e --argjson now "$(date +%s)" "$TIMES"'
		all(.[]; .state != "expired" or (expires <= $now and expires <= (.destroyed_at | fromdate)))' "$1" >"$vault/out"
}

# gone FILTER: whether all of these have expired; meanwhile, whether none of all expires early
gone() {
	list
	never_early "$vault/list.json" || fail "expired before its time: $(cat "$vault/list.json")"
	holds "[.[] | select($1)] | length > 0 and all(.[]; .state == \"expired\")"
}

# forgotten FILTER: these are, keys, objects and names; every other one is whole
forgotten() {
	local id class name object
	while read -r id class name; do
		object=$(object_of "$id")
		if [ "$class" = expired ]; then
			expect 5 ctl play "$id" --reason test
			[ ! -s "$vault/out" ] || fail "play of an expired recording writes something"
			wait_until $PATIENCE_S test ! -e "$object"
		else
			plays_as "$id" "$vault/$name" || fail "$name ($class) does not play"
		fi
	done < <(jq -r ".[] | \"\(.id) \(if $1 then \"expired\" else .class end) \(.name)\"" "$vault/list.json")
	holds "all(.[]; (.state == \"expired\") == ($1))" || fail "others expired, or these did not: $(cat "$vault/list.json")"
	expect 0 ctl verify --all --json
	holds '.bad == []' "$vault/out" || fail "verify: $(cat "$vault/out")"
}

start_keeper --config "$vault/recseal.conf"
expect 0 ctl clock confirm --reason 'the clock of today is right'
start_configured_intake
for name in plain long brief; do
	for i in 1 2 3; do
		cp -p "$vault/$i.wav" "$spool/$name/.$i"
		mkdir -p "$spool/$name/acme" && mv "$spool/$name/.$i" "$spool/$name/acme/$i.wav"
	done
done
wait_sealed
list
# shellcheck disable=SC2016 # the variable is jq's
holds "$TIMES"'
	def three($class; $keep_s): [.[] | select(.class == $class)] | length == 3 and all(.[]; keeps == $keep_s);
	def later($years): (.[:4] | tonumber + $years | tostring) + .[4:];
	three("default"; 30 * 86400) and three("brief"; 2)
	and all(.[] | select(.class == "long"); .expires_at == (.sealed_at | later(5)) or (.sealed_at | .[5:10] == "02-29"))
	and ([.[] | select(.class == "long")] | length == 3)
	and all(.[]; .spool == null or .class == {plain: "default", long: "long", brief: "brief"}[.spool])' ||
	fail "tags: $(jq -c '.[] | [.spool, .class, .sealed_at, .expires_at]' "$vault/list.json")"
jq '.[0].state = "expired" | .[0].destroyed_at = .[0].expires_at' "$vault/list.json" >"$vault/early.json"
never_early "$vault/early.json" && fail "the check of the times finds no early one"
wait_until $PATIENCE_S gone '.class == "brief"'
forgotten '.class == "brief"'
holds 'all(.[]; .state != "expired" or (has("name") or has("path") or has("spool") | not))' || fail "names outlive their recording"

# Many, of several accounts, whose time comes while the keeper is down: it does at once what is due, in one epoch.
for i in {1..40}; do drop "$vault/1.wav" "batch/account-$((i % 4))/$i.wav"; done
wait_sealed
stop_vault
start_keeper --config "$vault/recseal.conf"
list
stop_keeper
cp "$vault/list.json" "$vault/before.json"
last=$(jq "$TIMES"' [.[] | expires | select(. < now + 3600)] | max' "$vault/list.json")
past() { [ "$(date +%s)" -gt "$last" ]; }
wait_until $PATIENCE_S past
status_holds .epoch && fail "the keeper is not down"
start_keeper --config "$vault/recseal.conf"
wait_until $PATIENCE_S gone '.class == "batch"'
forgotten '.class == "batch" or .class == "brief"'
jq -s '(.[0] | map(select(.state == "sealed") | .id)) as $waited | [.[1][] | select(.class == "batch" and (.id | IN($waited[])))]' \
	"$vault/before.json" "$vault/list.json" >"$vault/batch.json"
holds '[.[].destroyed_epoch] | unique | length <= 1' "$vault/batch.json" || fail "an epoch for each: $(cat "$vault/batch.json")"
stop_keeper

# A month later, and back again; only the keeper's clock is set. Nobody synchronises it: nothing goes on its word until an
# officer confirms it.
lie=$(find /usr/lib -name libfaketime.so.1 -print -quit 2>/dev/null)
note="libfaketime is missing: no clock was set"
at() { PREFIX=(env "LD_PRELOAD=$lie" "FAKETIME=$1" FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1); }
if [ -n "$lie" ]; then
	note="a month later, and back again"
	at +29d
	[ "$("${PREFIX[@]}" date +%s)" -gt $(($(date +%s) + 28 * 86400)) ] || fail "libfaketime does not work"
	start_keeper --config "$vault/recseal.conf"
	sleep 2.5 # two looks at what is due
	list
	forgotten '.class == "batch" or .class == "brief"'
	stop_keeper
	at +32d
	start_keeper --config "$vault/recseal.conf"
	sleep 2.5
	list
	forgotten '.class == "batch" or .class == "brief"'
	expect 0 ctl clock confirm --reason 'a month later'
	wait_until $PATIENCE_S list_holds 'all(.[]; .class == "long" or .state == "expired")'
	PREFIX=()
	start_configured_intake
	drop "$vault/2.wav" long/acme/2.wav
	wait_sealed
	stop_vault
	start_keeper --config "$vault/recseal.conf"
	start_configured_intake
	drop "$vault/3.wav" plain/acme/3.wav
	wait_sealed
	list
	forgotten '.class != "long" and .path != "acme/3.wav"'
	# Put right again: nothing was sealed in the future.
	expect 0 ctl clock confirm --reason 'the right clock'
	list
	# shellcheck disable=SC2016 # the variable is jq's
	jq -e --argjson now "$(date +%s)" 'all(.[]; .state != "sealed" or (.sealed_at | fromdate) <= $now)' "$vault/list.json" >"$vault/out" ||
		fail "sealed in the future: $(cat "$vault/list.json")"
	holds 'length == 51 and ([.[] | select(.state == "sealed") | .class] | sort) == ["default", "long", "long", "long", "long"]' || fail "after the clock was set back: $(cat "$vault/list.json")"
	stop_vault
fi
echo "PASS: tagged, and forgotten in time; $(jq length "$vault/batch.json") in one epoch; $note"
