#!/bin/bash
# Goal: with From=recorded a backlog is kept as long as if it had been sealed when it was recorded, in calendar years, by the
# time in its name where the bridge writes one and by its own date elsewhere; what would be due already is kept for a day,
# and the journal says so; a name that claims the future, or a time before any bridge, gains nothing.
# Negative control: the same files in a class that counts from the sealing are kept for the whole time.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq
export TZ=UTC

for name in rooms plain control; do mkdir "$spool/$name"; done
cat >"$vault/recseal.conf" <<-END
	[class law]
	Keep=5y
	From=recorded
	[class sealed]
	Keep=5y
	[spool rooms]
	Path=$spool/rooms
	Profile=asterisk
	Settle=50ms
	Class=law
	[spool plain]
	Path=$spool/plain
	Settle=50ms
	Class=law
	[spool control]
	Path=$spool/control
	Profile=asterisk
	Settle=50ms
	Class=sealed
END
make_wav "$vault/a.wav" 5000
year=$(date +%Y)
three_years_ago=$(date -d "$((year - 3))-03-05 10:20:30" +%s)
backlog=$(date -d "2019-11-23 09:40:17" +%s)
future=$(($(date +%s) + 400 * 86400))

start_keeper --config "$vault/recseal.conf"
start_configured_intake
for epoch in "$three_years_ago" "$backlog" "$future" 12; do
	drop "$vault/a.wav" "rooms/confbridge-sales-$epoch.wav"
	drop "$vault/a.wav" "control/confbridge-sales-$epoch.wav"
done
for date in "$((year - 2))-02-03 04:05:06" '1970-01-02 00:00:00'; do
	cp "$vault/a.wav" "$spool/plain/.copy"
	touch -d "$date" "$spool/plain/.copy"
	mkdir -p "$spool/plain/acme" && mv "$spool/plain/.copy" "$spool/plain/acme/${date%% *}.wav"
done
wait_sealed
list

# expires SPOOL NAME: seconds since 1970
expires() {
	jq -r --arg spool "$1" --arg name "$2" '.[] | select(.spool == $spool and .name == $name) | .expires_at | fromdate' "$vault/list.json"
}
# near SPOOL NAME DATE: it expires within two minutes of this
near() {
	local got wanted
	got=$(expires "$1" "$2")
	wanted=$(date -d "$3" +%s)
	if [ -z "$got" ] || [ "$got" -lt $((wanted - 120)) ] || [ "$got" -gt $((wanted + 120)) ]; then
		fail "$1/$2 expires at $(date -u -d "@${got:-0}"), not at $3: $(jq -c '.[] | [.spool, .name, .recorded_at, .expires_at]' "$vault/list.json")"
	fi
}
near rooms "confbridge-sales-$three_years_ago.wav" "$((year + 2))-03-05 10:20:30"
near rooms "confbridge-sales-$backlog.wav" 'now + 1 day'
near rooms "confbridge-sales-$future.wav" 'now + 5 years'
near rooms confbridge-sales-12.wav 'now + 5 years'
near plain "$((year - 2))-02-03.wav" "$((year + 3))-02-03 04:05:06"
near plain 1970-01-02.wav 'now + 5 years'
for epoch in "$three_years_ago" "$backlog" "$future" 12; do
	near control "confbridge-sales-$epoch.wav" 'now + 5 years'
done
[ "$(grep -c 'was due when it came' "$vault/keeper.log")" -eq 1 ] || fail "not told, or of others"
holds 'all(.[]; .state == "sealed")' || fail "something is gone: $(cat "$vault/list.json")"
stop_vault
echo "PASS: kept from the recording, in calendar years, and never due at once"
