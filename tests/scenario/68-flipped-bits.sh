#!/bin/bash
# Goal: a sealed object that is not on the disk as it was sealed never costs the recording. A bit that flips while the
# object is written, or on the disk after it was synced, is noticed before the plaintext goes: the journal says so, the
# recording is sealed once more, and plays. Verify=ends does not notice it, which shows that the flips are real.
# shellcheck source-path=SCRIPTDIR source=lib-recordings.sh
. "$(dirname "$0")/lib-recordings.sh"
need jq cc

# Flips a bit in the middle of what the intake writes (a file `write` in FLIPS), or of an object that it has synced
# (`sync`). Its own memory stays right.
cat >"$vault/flip.c" <<'EOF'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#define LEAST 60000 /* of an object; messages and logs are shorter */

static int armed(const char *how)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", getenv("FLIPS"), how);
	return access(path, F_OK) == 0;
}

static ssize_t flipped(const char *name, int fd, void *bytes, size_t len, off_t offset)
{
	ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, name);
	char *middle = (char *)bytes + len / 2;
	int flip = len >= LEAST && armed("write");
	if (flip)
		*middle ^= 4;
	ssize_t n = real(fd, bytes, len, offset);
	if (flip)
		*middle ^= 4;
	return n;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	return flipped("pwrite", fd, (void *)bytes, len, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
	return flipped("pwrite64", fd, (void *)bytes, len, offset);
}

int fsync(int fd)
{
	int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
	ssize_t (*write_at)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");
	struct stat st;
	char byte;
	int r = real(fd);
	if (r < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < LEAST ||
	    (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY || !armed("sync"))
		return r;
	if (pread(fd, &byte, 1, st.st_size / 2) != 1)
		abort();
	byte ^= 4;
	if (write_at(fd, &byte, 1, st.st_size / 2) != 1)
		abort();
	return real(fd);
}
EOF
cc -shared -fPIC -O1 -o "$vault/flip.so" "$vault/flip.c" -ldl || fail "the library that flips bits does not compile"
mkdir "$vault/flips"
PREFIX=(env "LD_PRELOAD=$vault/flip.so" "FLIPS=$vault/flips")
export ASAN_OPTIONS="${ASAN_OPTIONS-}:verify_asan_link_order=0"

told() { [ "$(grep -ac 'not on the disk as it was sealed' "$1")" -ge "$2" ]; }
start_both() {
	local flips=("${PREFIX[@]}")
	PREFIX=()
	start_keeper "$@"
	PREFIX=("${flips[@]}")
	start_intake
}

# survives HOW NAME BYTES: the recording of that many bytes comes to no harm while bits flip
survives() {
	make_wav "$vault/$2.wav" "$3"
	: >"$vault/keeper.log"
	touch "$vault/flips/$1"
	drop "$vault/$2.wav" "acme/$2.wav"
	wait_until "$PATIENCE_S" told "$vault/keeper.log" 2 # also the second attempt
	wait_until "$PATIENCE_S" status_holds '.spools[0].last_error // "" | test("not on the disk as it was sealed")'
	cmp "$vault/$2.wav" "$spool/acme/$2.wav" || fail "$2: bits flipped ($1), and the plaintext is gone"
	list
	holds "all(.[]; .path != \"acme/$2.wav\")" || fail "$2 is in the catalog"
	rm "$vault/flips/$1"
	wait_sealed
	list
	plays_as "$(id_of "acme/$2.wav")" "$vault/$2.wav" || fail "$2 plays differently"
}

start_both
survives write small-write 200000
survives write large-write 5000000
survives sync small-sync 200000
survives sync large-sync 5000000
told "$vault/intake.log" 1 || fail "the intake says nothing of it"
[ "$(count_objects)" -eq 4 ] || fail "objects that were thrown away are still there"
ctl verify --all >/dev/null || fail "a sealed recording is damaged"
stop_vault

# The control: what is taken on trust is not noticed, until somebody reads it.
printf '[keeper]\nVerify=ends\n' >"$vault/ends.conf"
"$BUILD/recseal-keeper" --check-config --config "$vault/ends.conf" || fail "Verify=ends is not accepted"
printf '[keeper]\nVerify=some\n' >"$vault/some.conf"
"$BUILD/recseal-keeper" --check-config --config "$vault/some.conf" 2>"$vault/err" && fail "Verify=some is accepted"
says "$vault/err" 'Verify.*use full or ends'
start_both --config "$vault/ends.conf"
for how in write sync; do
	make_wav "$vault/$how.wav" 5000000
	touch "$vault/flips/$how"
	drop "$vault/$how.wav" "acme/$how.wav"
	wait_sealed
	rm "$vault/flips/$how"
	list
	plays_as "$(id_of "acme/$how.wav")" "$vault/$how.wav" && fail "no bit was flipped ($how): this scenario shows nothing"
	ctl verify "$(id_of "acme/$how.wav")" >/dev/null 2>&1 && fail "verify does not notice a flipped bit ($how)"
done
stop_vault
echo "PASS: flipped bits are noticed while the plaintext is there ($(count_objects) objects)"
