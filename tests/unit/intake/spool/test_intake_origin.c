/* The origin of a file: the same after a rename, a chmod and a touch; another one for every other
 * file. And that a private name says nothing. */
#include <errno.h>
#include <sodium.h>
#include <sys/mount.h>

#include "daemon/intake/source/aside.h"
#include "daemon/intake/source/origin.h"
#include "daemon/intake/source/source.h"
#include "tests/unit/support/spool_fixture.h"

static struct spool_fixture spool;

static int setup(void **state)
{
	spool_fixture_make(&spool);
	return 0;
}

static int teardown(void **state)
{
	spool_fixture_remove(&spool);
	return 0;
}

static struct origin origin_of(const char *path)
{
	_cleanup_close_ int fd = openat(spool.fd, path, O_RDONLY | O_CLOEXEC);
	struct origin origin;

	assert_true(fd >= 0);
	assert_int_equal(origin_find(fd, &origin), 0);
	return origin;
}

static bool same_hash(const struct origin *a, const struct origin *b)
{
	uint8_t one[ORIGIN_HASH_BYTES], other[ORIGIN_HASH_BYTES];

	origin_hash(a, "spool", one);
	origin_hash(b, "spool", other);
	return memcmp(one, other, sizeof(one)) == 0;
}

/* Every number, and the spool's name. */
static void the_hash_tells_origins_apart(void **state)
{
	static const struct origin origin = {.type = 1,
			.fsid = 2,
			.device = 3,
			.uuid = {4},
			.uuid_len = 16,
			.inode = 5,
			.size = 6,
			.born_ns = 7,
			.mtime_ns = 8};
	struct origin others[10];
	uint8_t one[ORIGIN_HASH_BYTES], other[ORIGIN_HASH_BYTES];

	for (size_t i = 0; i < ELEMENTSOF(others); i++)
		others[i] = origin;
	others[1].type++;
	others[2].fsid++;
	others[3].device++;
	others[4].uuid[15]++;
	others[5].uuid_len--;
	others[6].inode++;
	others[7].size++;
	others[8].born_ns++;
	others[9].mtime_ns++;
	for (size_t i = 0; i < ELEMENTSOF(others); i++) {
		for (size_t j = 0; j < ELEMENTSOF(others); j++)
			assert_int_equal(same_hash(&others[i], &others[j]), i == j);
	}
	origin_hash(&origin, "spool", one);
	origin_hash(&origin, "spool2", other);
	assert_memory_not_equal(one, other, sizeof(one));
}

/* Nothing of what a crash, an operator or a bridge does to the file itself. */
static void an_origin_stays(void **state)
{
	static const struct timespec long_ago[2] = {{1000, 0}, {1000, 0}};
	char name[ASIDE_NAME_BYTES];

	put_text(&spool, "call", "audio");
	struct origin before = origin_of("call");
	if (before.born_ns == 0)
		skip(); /* the filesystem of /tmp keeps no births */
	assert_int_equal(fchmodat(spool.fd, "call", 0640, 0), 0);
	assert_int_equal(utimensat(spool.fd, "call", long_ago, 0), 0);
	aside_make("call", name);
	assert_int_equal(renameat(spool.fd, "call", spool.fd, name), 0);
	struct origin after = origin_of(name);
	assert_true(same_hash(&before, &after));
	put_text(&spool, name, "more");
	after = origin_of(name);
	assert_false(same_hash(&before, &after));
}

/* Also where the filesystem keeps no births (ramfs), whatever changes its ctime. */
static void an_origin_without_birth_stays(void **state)
{
	static const struct timespec long_ago[2] = {{1000, 0}, {1000, 0}};
	char place[80];

	snprintf(place, sizeof(place), "%s/0", spool.path);
	assert_int_equal(mkdir(place, 0700), 0);
	if (mount("none", place, "ramfs", 0, NULL) < 0)
		skip(); /* not root */
	put_text(&spool, "0/call", "audio");
	struct origin before = origin_of("0/call");
	int failed = fchmodat(spool.fd, "0/call", 0640, 0) |
		     fchownat(spool.fd, "0/call", 4000, 4000, 0) |
		     linkat(spool.fd, "0/call", spool.fd, "0/link", 0) |
		     unlinkat(spool.fd, "0/link", 0) |
		     renameat(spool.fd, "0/call", spool.fd, "0/other");
	struct origin after = origin_of("0/other");
	failed |= utimensat(spool.fd, "0/other", long_ago, 0);
	struct origin touched = origin_of("0/other");
	assert_int_equal(umount(place), 0);
	assert_int_equal(failed, 0);
	if (before.born_ns != 0)
		skip(); /* this kernel keeps them */
	assert_false(before.firm);
	assert_true(same_hash(&before, &after));
	assert_false(same_hash(&before, &touched));
}

/* A copy of it is another file, whatever its name and its times say; so is the next one in its
 * inode. */
static void a_copy_is_another_file(void **state)
{
	struct stat st;

	put_text(&spool, "call", "audio");
	struct origin first = origin_of("call");
	if (first.born_ns == 0)
		skip(); /* there its time can be set, and only its content tells */
	assert_int_equal(fstatat(spool.fd, "call", &st, 0), 0);
	struct timespec times[2] = {st.st_atim, st.st_mtim};
	for (int i = 0; i < 50; i++) {
		assert_int_equal(unlinkat(spool.fd, "call", 0), 0);
		usleep(11000); /* a tick of the slowest kernel clock */
		put_text(&spool, "call", "audio");
		assert_int_equal(utimensat(spool.fd, "call", times, 0), 0);
		struct origin next = origin_of("call");
		assert_false(same_hash(&first, &next));
	}
}

/* Two fresh tmpfs number their inodes alike. Births are left out, for files of one tick. */
static void volumes_are_told_apart(void **state)
{
	char place[2][80];

	for (int i = 0; i < 2; i++) {
		snprintf(place[i], sizeof(place[i]), "%s/%d", spool.path, i);
		assert_int_equal(mkdir(place[i], 0700), 0);
		if (mount("none", place[i], "tmpfs", 0, NULL) < 0) {
			if (i > 0)
				umount(place[0]);
			skip(); /* not root */
		}
	}
	put_text(&spool, "0/call", "audio");
	put_text(&spool, "1/call", "AUDIO");
	struct origin a = origin_of("0/call"), b = origin_of("1/call");
	assert_int_equal(umount(place[0]), 0);
	assert_int_equal(umount(place[1]), 0);
	a.born_ns = b.born_ns;
	a.mtime_ns = b.mtime_ns;
	assert_int_equal(a.inode, b.inode);
	assert_int_equal(a.size, b.size);
	assert_false(same_hash(&a, &b));
}

#define in_spool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(the_hash_tells_origins_apart),
			in_spool(an_origin_stays),
			in_spool(an_origin_without_birth_stays),
			in_spool(a_copy_is_another_file),
			in_spool(volumes_are_told_apart),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
