/* What lies beside recordings, read as if by an enemy: sidecars, account maps; and the memory of
 * what does not come to its end. */
#include "tests/unit/support/spool_fixture.h"

#include <errno.h>
#include <sys/time.h>
#include <time.h>

#include <sodium.h>

#include "base/clock.h"
#include "daemon/intake/beside/sidecar.h"
#include "daemon/intake/spool/account_map.h"
#include "daemon/intake/spool/stale.h"

static int setup(void **state)
{
	struct spool_fixture *f = calloc(1, sizeof(*f));

	if (sodium_init() < 0)
		return -1;
	spool_fixture_make(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	spool_fixture_remove(*state);
	free(*state);
	return 0;
}

/* ---- Sidecars ---- */

static int64_t later_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * US_PER_S + 3600 * US_PER_S;
}

static int read_sidecar(const struct spool_fixture *f, const char *path, struct sidecar *sidecar)
{
	struct sidecar_about about;

	return sidecar_read(f->fd, path, later_us(), US_PER_S, sidecar, &about);
}

static void a_sidecar_is_read(void **state)
{
	struct spool_fixture *f = *state;
	struct sidecar s;
	struct sidecar_about about;

	put_directory(f, "d");
	put_text(f, "d/x.json", "{\"a\":1}\n");
	assert_int_equal(read_sidecar(f, "d/x.json", &s), 0);
	assert_int_equal(s.len, 8);
	assert_string_equal((char *)s.bytes, "{\"a\":1}\n");
	assert_string_equal(s.path, "d/x.json");
	/* It may be removed while it is what it was, and not once it is not. */
	put_text(f, "d/x.json", "more");
	assert_int_equal(sidecar_remove(f->fd, &s, false), SOURCE_CHANGED);
	sidecar_clear(&s);
	assert_int_equal(read_sidecar(f, "d/x.json", &s), 0);
	assert_int_equal(sidecar_remove(f->fd, &s, false), 0);
	assert_false(is_there(f, "d/x.json"));
	assert_int_equal(sidecar_remove(f->fd, &s, false), SOURCE_GONE);
	assert_int_equal(symlinkat("/etc/passwd", f->fd, "d/x.json"), 0);
	assert_int_equal(sidecar_remove(f->fd, &s, false), SOURCE_CHANGED);
	assert_true(is_there(f, "d/x.json"));
	sidecar_clear(&s);
	/* Within the settle time it may still grow. */
	put_text(f, "new", "x");
	assert_int_equal(sidecar_read(f->fd, "new", later_us() - 3600 * US_PER_S, 60 * US_PER_S, &s,
					 &about),
			SIDECAR_BUSY);
}

static int truncate_file(struct spool_fixture *f, const char *name, off_t size)
{
	_cleanup_close_ int fd = openat(f->fd, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -1 : ftruncate(fd, size);
}

static void hostile_sidecars_are_left(void **state)
{
	static char large[SIDECAR_BYTES_MAX + 1];
	struct spool_fixture *f = *state;
	struct sidecar s;

	assert_int_equal(read_sidecar(f, "none", &s), SIDECAR_MISSING);
	put_text(f, "empty", "");
	assert_int_equal(read_sidecar(f, "empty", &s), SIDECAR_BUSY); /* just created */
	assert_int_equal(symlinkat("/etc/passwd", f->fd, "link"), 0);
	assert_int_equal(read_sidecar(f, "link", &s), SOURCE_SYMLINK);
	assert_int_equal(mkfifoat(f->fd, "fifo", 0600), 0);
	assert_int_equal(read_sidecar(f, "fifo", &s), SOURCE_SPECIAL);
	put_directory(f, "folder");
	assert_int_equal(read_sidecar(f, "folder", &s), SOURCE_SPECIAL);
	put_text(f, "one", "x");
	assert_int_equal(linkat(f->fd, "one", f->fd, "two", 0), 0);
	assert_int_equal(read_sidecar(f, "two", &s), SOURCE_HARD_LINK);
	memset(large, '[', sizeof(large));
	put_bytes(f, "fits", large, sizeof(large) - 1);
	assert_int_equal(read_sidecar(f, "fits", &s), 0);
	sidecar_clear(&s);
	put_bytes(f, "large", large, sizeof(large));
	assert_int_equal(read_sidecar(f, "large", &s), SIDECAR_LARGE);
	assert_int_equal(s.len, sizeof(large)); /* for what it says of the account */
	sidecar_clear(&s);
	put_bytes(f, "huge", large, 1);
	assert_int_equal(truncate_file(f, "huge", SIDECAR_READ_MAX + 1), 0);
	assert_int_equal(read_sidecar(f, "huge", &s), SIDECAR_HUGE);
	/* Out of the spool: by .., and by a link to a folder. */
	assert_int_equal(read_sidecar(f, "../x", &s), SIDECAR_MISSING);
	assert_int_equal(symlinkat("/etc", f->fd, "etc"), 0);
	assert_int_equal(read_sidecar(f, "etc/passwd", &s), SIDECAR_MISSING);
}

static void a_sidecar_with_a_writer_waits(void **state)
{
	struct spool_fixture *f = *state;
	struct sidecar s;

	if (!leases_work(f))
		skip();
	int fd = openat(f->fd, "live", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(io_write_all(fd, "{", 1), 0);
	assert_int_equal(read_sidecar(f, "live", &s), SIDECAR_BUSY);
	close(fd);
	assert_int_equal(read_sidecar(f, "live", &s), 0);
	sidecar_clear(&s);
	/* and it is not kept from being written on */
	fd = openat(f->fd, "live", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	close(fd);
}

static void assert_member(const char *bytes, size_t len, const char *key, const char *expected)
{
	struct sidecar s = {.bytes = (uint8_t *)strndup("", 0), .len = len};

	free(s.bytes);
	s.bytes = malloc(len + 1);
	memcpy(s.bytes, bytes, len);
	s.bytes[len] = '\0';
	_cleanup_free_ char *value = sidecar_member(&s, key, strlen(key));
	if (!expected && value)
		fail_msg("%s of %s is %s", key, bytes, value);
	if (expected && (!value || strcmp(value, expected) != 0))
		fail_msg("%s of %s is %s, not %s", key, bytes, value ? value : "nothing", expected);
	free(s.bytes);
}

static void members(void **state)
{
	static const struct {
		const char *text, *key, *expected;
	} cases[] = {
			{" {\"room\":\"b\",\"n\":7,\"a\":{\"b\":{\"c\":\"deep\"}}}", "room", "b"},
			{"{\"n\":7}", "n", "7"},
			{"{\"n\":-7}", "n", "-7"},
			{"{\"a\":{\"b\":{\"c\":\"deep\"}}}", "a.b.c", "deep"},
			{"{\"a\":{\"b\":1}}", "a", NULL},
			{"{\"a\":[1]}", "a", NULL},
			{"{\"a\":1.5}", "a", NULL},
			{"{\"a\":true}", "a", NULL},
			{"{\"a\":null}", "a", NULL},
			{"{\"a\":\"\"}", "a", NULL},
			{"{\"a\":\"x\\ny\"}", "a", NULL},
			{"{\"a\":\"x\\u0000y\"}", "a", NULL},
			{"{\"a\":\"x\",\"a\":\"y\"}", "a", NULL}, /* which of the two? */
			{"{\"a\":\"x\"", "a", NULL},
			{"{\"a\":\"\xff\"}", "a", NULL},
			{"{\"a\":\"x\"} {}", "a", NULL},
			{"{", "a", NULL},
			{"", "a", NULL},
			{"room: board \nuser=me\n", "room", "board"},
			{"room: board \nuser=me", "user", "me"},
			{"room: board\r\n", "room", "board"},
			{"rooms: board\n", "room", NULL},
			{"room\n", "room", NULL},
			{"room:\n", "room", NULL},
			{"room: a\x1b[2J\n", "room", NULL},
			{"x\nroom: late\n", "room", "late"},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		assert_member(cases[i].text, strlen(cases[i].text), cases[i].key,
				cases[i].expected);
	assert_member("room: a\0b\n", 10, "room", NULL);
}

/* As deep as a sidecar can be: neither the stack nor the time ends. */
static void deep_json(void **state)
{
	static char deep[SIDECAR_BYTES_MAX + 1];
	size_t n = 0;

	while (n + 5 < SIDECAR_BYTES_MAX)
		n += (size_t)sprintf(deep + n, "{\"a\":");
	assert_member(deep, n, "a.a.a", NULL);
	memset(deep, '[', SIDECAR_BYTES_MAX);
	deep[0] = '{';
	assert_member(deep, SIDECAR_BYTES_MAX, "a", NULL);
	static const char nine[] =
			"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}";
	assert_member(nine, strlen(nine), "a.a.a.a.a.a.a.a.a", NULL);
}

/* ---- Maps ---- */

static void assert_mapped(
		struct account_map *map, const char *path, const char *key, const char *expected)
{
	_cleanup_free_ char *account = NULL;
	int r = account_map_find(map, path, key, later_us(), &account);

	assert_int_equal(r, expected ? 0 : ACCOUNT_MAP_UNKNOWN);
	if (expected)
		assert_string_equal(account, expected);
}

static void account_maps(void **state)
{
	struct spool_fixture *f = *state;
	struct account_map map = {0};
	char path[96], *account;

	snprintf(path, sizeof(path), "%s/map", f->path);
	assert_int_equal(account_map_find(&map, path, "x", later_us(), &account), -ENOENT);
	put_text(f, "map",
			"# rooms\n\nboard room = Acme Ltd \n 1234=globex\n#77 = x\nempty =\n= nobody\n"
			"twice = first\ntwice = second\nlast = one");
	assert_mapped(&map, path, "board room", "Acme Ltd");
	assert_mapped(&map, path, "1234", "globex");
	assert_mapped(&map, path, "twice", "first");
	assert_mapped(&map, path, "last", "one");
	assert_mapped(&map, path, "board", NULL);
	assert_mapped(&map, path, "77", NULL);
	assert_mapped(&map, path, "#77", NULL);
	assert_mapped(&map, path, "empty", NULL);
	put_text(f, "map", "\nadded = later\n"); /* it is read again */
	/* ... once nobody can be in the middle of writing it */
	int64_t just_now_us = later_us() - 3600 * US_PER_S;
	assert_int_equal(account_map_find(&map, path, "added", just_now_us, &account),
			ACCOUNT_MAP_FRESH);
	assert_mapped(&map, path, "added", "later");
	assert_int_equal(unlinkat(f->fd, "map", 0), 0);
	assert_int_equal(account_map_find(&map, path, "1234", later_us(), &account), -ENOENT);
	assert_int_equal(mkfifoat(f->fd, "map", 0600), 0); /* does not block */
	assert_int_equal(account_map_find(&map, path, "1234", later_us(), &account), -EINVAL);
	assert_int_equal(unlinkat(f->fd, "map", 0), 0);
	int fd = openat(f->fd, "map", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, ACCOUNT_MAP_BYTES_MAX + 1), 0);
	close(fd);
	assert_int_equal(account_map_find(&map, path, "1234", later_us(), &account), -EFBIG);
	account_map_clear(&map);
}

/* ---- What does not come to its end ---- */

static void stale_files(void **state)
{
	struct stale_files *files = calloc(1, sizeof(*files));

	assert_int_equal(stale_oldest_us(files), 0);
	assert_true(stale_meet(files, 1, 500, 1));
	assert_false(stale_meet(files, 1, 500, 2));
	assert_true(stale_meet(files, 2, 300, 2));
	assert_true(stale_meet(files, 1, 400, 2)); /* another file in the inode */
	assert_int_equal(stale_oldest_us(files), 300);
	stale_forget(files, 2);
	assert_int_equal(files->n, 3);
	assert_false(stale_meet(files, 1, 400, 3));
	stale_forget(files, 3);
	assert_int_equal(files->n, 1);
	assert_int_equal(stale_oldest_us(files), 400);
	for (uint64_t i = 10; i < 10 + 2 * STALE_MAX; i++)
		stale_meet(files, i, 1000, 3);
	assert_int_equal(files->n, STALE_MAX);
	free(files);
}

static void since_birth(void **state)
{
	struct spool_fixture *f = *state;
	const struct timeval old[2] = {{0, 0}, {0, 0}};
	struct source source = SOURCE_NONE;
	char path[96];

	put_text(f, "x", "x");
	snprintf(path, sizeof(path), "%s/x", f->path);
	int64_t now_us = later_us();
	assert_int_equal(utimes(path, old), 0); /* an old mtime makes no old file */
	assert_int_equal(source_find(f->fd, "x", &source), 0);
	int64_t age_us = now_us - stale_since_us(&source, now_us);
	assert_true(age_us > 3500 * US_PER_S && age_us < 3700 * US_PER_S);
	/* nor is anything older than now */
	assert_true(stale_since_us(&source, 5) == 5);
	source_close(&source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(a_sidecar_is_read, setup, teardown),
			cmocka_unit_test_setup_teardown(hostile_sidecars_are_left, setup, teardown),
			cmocka_unit_test_setup_teardown(
					a_sidecar_with_a_writer_waits, setup, teardown),
			cmocka_unit_test(members),
			cmocka_unit_test(deep_json),
			cmocka_unit_test_setup_teardown(account_maps, setup, teardown),
			cmocka_unit_test(stale_files),
			cmocka_unit_test_setup_teardown(since_birth, setup, teardown),
	};

	return cmocka_run_group_tests_name("intake_beside", tests, NULL, NULL);
}
