#!/bin/bash
# Goal: the units are ones systemd fully understands, they confine the services well, and every journal
# message has its explanation. The units are verified with the programs just built in place of the installed
# ones. Negative controls: a misspelt directive, an unknown system call and a missing catalog entry are seen.
set -u

srcdir=$(cd "${srcdir:-.}" && pwd) || exit 1
command -v systemd-analyze >/dev/null || {
	echo "SKIP: systemd-analyze is missing (Debian package systemd)"
	exit 77
}
work=$(mktemp -d "${TMPDIR:-/tmp}/recseal-units.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

# A folder of the units; ExecStart= becomes the program of that name in the build directory.
make_units() {
	mkdir -p "$1"
	cp systemd/*.service "$srcdir"/systemd/*.socket "$1/" || exit 1
	sed -i -E "s|^ExecStart=.*/([^/ ]+)|ExecStart=$PWD/\1|" "$1"/*.service
}

# What systemd has to say about the units of a folder, and about nothing else on this machine.
complaints() {
	local out status
	out=$(SYSTEMD_UNIT_PATH="$1:" systemd-analyze verify --man=no --recursive-errors=no "$1"/* 2>&1)
	status=$?
	grep -F -e recseal <<<"$out"
	[ $status -eq 0 ] || echo "systemd-analyze verify: status $status: $out"
}

make_units "$work/good"
if ! SYSTEMD_UNIT_PATH=$work/good: systemd-analyze verify --man=no --recursive-errors=no \
	"$work/good/recseal-keeper.socket" >/dev/null 2>"$work/err" && ! grep -q recseal "$work/err"; then
	echo "SKIP: systemd-analyze verify does not work here: $(head -n 1 "$work/err")"
	exit 77
fi
said=$(complaints "$work/good")
[ -z "$said" ] || fail "systemd complains: $said"

make_units "$work/typo"
sed -i 's/^ProtectSystem=/ProtectSytem=/' "$work/typo/recseald.service"
[ -n "$(complaints "$work/typo")" ] || fail "negative control: a misspelt directive was not noticed"

make_units "$work/call"
sed -i 's/^SystemCallFilter=@system-service/& no_such_call/' "$work/call/recseald.service"
[ -n "$(complaints "$work/call")" ] || fail "negative control: an unknown system call was not noticed"

make_units "$work/program"
sed -i 's/^ExecStart=.*/&-missing/' "$work/program/recseal-keeper.service"
[ -n "$(complaints "$work/program")" ] || fail "negative control: a missing program was not noticed"

# Exposure, 0 (none) to 100 (all), as systemd-analyze(1) counts it.
exposed() {
	! systemd-analyze security --offline=yes --threshold="$2" "$1" >"$work/security" 2>&1
}
for unit in recseald recseal-keeper; do
	if exposed "$work/good/$unit.service" 10; then
		fail "$unit is exposed: $(tail -n 1 "$work/security")"
	fi
done
sed '/^Protect/d; /^Restrict/d; /^SystemCall/d' "$work/good/recseald.service" >"$work/bare.service"
exposed "$work/bare.service" 10 || fail "negative control: an unconfined service was not noticed"

# Understood, and yet deadly: seen under a running systemd 252.
if grep -lE '^(RestrictSUIDSGID|DynamicUser|PrivateUsers)=(yes|true|on|1)' systemd/*.service; then
	fail "RestrictSUIDSGID= (DynamicUser= implies it) answers openat2(2) with ENOSYS; PrivateUsers= hides who calls"
fi

# Every MESSAGE_ID has a catalog entry and the other way round.
ids_of_code() {
	sed -n 's/^#define EVENT_ID_[A-Z_]* *"\([0-9a-f]*\)"$/\1/p' "$srcdir/daemon/common/event_ids.h" | sort
}
ids_of_catalog() {
	sed -n 's/^-- \([0-9a-f]*\)$/\1/p' "$1" | sort
}
catalog=$srcdir/systemd/recseal.catalog
[ "$(ids_of_code | wc -l)" -ge 10 ] || fail "no MESSAGE_IDs found in event_ids.h"
[ "$(ids_of_code | uniq -d)" = "" ] || fail "a MESSAGE_ID is used twice"
ids_of_code | grep -vqE '^[0-9a-f]{32}$' && fail "a MESSAGE_ID is not 32 hexadecimal digits"
if ! difference=$(diff <(ids_of_code) <(ids_of_catalog "$catalog")); then
	fail "event_ids.h (<) and recseal.catalog (>) differ: $difference"
fi
sed '0,/^-- /{/^-- /d}' "$catalog" >"$work/short.catalog"
diff <(ids_of_code) <(ids_of_catalog "$work/short.catalog") >/dev/null &&
	fail "negative control: a missing catalog entry was not noticed"

# journalctl itself reads the catalog.
if command -v journalctl >/dev/null; then
	mkdir -p "$work/root/usr/lib/systemd/catalog" "$work/root/var/lib/systemd/catalog"
	cp "$catalog" "$work/root/usr/lib/systemd/catalog/"
	said=$(journalctl --root="$work/root" --update-catalog 2>&1) || fail "the catalog cannot be read: $said"
	listed=$(journalctl --root="$work/root" --list-catalog 2>/dev/null | grep -c .)
	[ "$listed" -eq "$(ids_of_code | wc -l)" ] || fail "journalctl lists $listed catalog entries"
fi

# Users and directories, made in an empty root: only root can give files away.
if [ "$(id -u)" -eq 0 ] && command -v systemd-sysusers systemd-tmpfiles >/dev/null; then
	root=$work/system
	mkdir -p "$root/etc" "$root/run" "$root/var/lib"
	said=$(systemd-sysusers --root="$root" "$srcdir/systemd/sysusers.d/recseal.conf" 2>&1) ||
		fail "users cannot be made: $said"
	said=$(systemd-tmpfiles --root="$root" --create "$srcdir/systemd/tmpfiles.d/recseal.conf" 2>&1) ||
		fail "directories cannot be made: $said"
	keeper=$(sed -n 's/^recseal-keeper:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/passwd")
	viewers=$(sed -n 's/^recseal-viewer:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/group")
	made=$(stat -c '%a %u %g' "$root/var/lib/recseal/objects")
	[ "$made" = "2750 $keeper $viewers" ] || fail "objects directory: $made"
fi

[ $failures -eq 0 ] && echo "units, confinement and catalog are sound"
[ $failures -eq 0 ]
