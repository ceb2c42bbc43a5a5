/* daemon/common/event: where an event goes and what it carries. The journal is a wrapped call that
 * keeps what it was given (see tests/base.inc). */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/common/event.h"
#include "daemon/common/event_ids.h"

/* What the journal received last, a field per line, and how it behaves. */
static struct {
	char fields[1024];
	int entries, result;
	bool absent;
} journal;

int __wrap_sd_journal_sendv(const struct iovec *fields, int n);
int __wrap_sd_journal_sendv(const struct iovec *fields, int n)
{
	if (journal.result < 0)
		return journal.result;
	journal.entries++;
	journal.fields[0] = '\0';
	for (int i = 0; i < n; i++) {
		strncat(journal.fields, fields[i].iov_base, fields[i].iov_len);
		strcat(journal.fields, "\n");
	}
	return 0;
}

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
	if (strcmp(path, "/run/systemd/journal/socket") != 0)
		return __real_access(path, mode);
	errno = ENOENT;
	return journal.absent ? -1 : 0;
}

/* Runs with stderr in a file, whose contents it returns. */
static char *stderr_of(void (*run)(void))
{
	static char said[1024];
	int saved = dup(STDERR_FILENO), fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(saved >= 0 && fd >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	run();
	dup2(saved, STDERR_FILENO);
	close(saved);
	ssize_t n = pread(fd, said, sizeof(said) - 1, 0);
	close(fd);
	assert_true(n >= 0);
	said[n] = '\0';
	return said;
}

/* As systemd does it: JOURNAL_STREAM names the very inode that is stderr. */
static void init_with_journal_stream(void)
{
	struct stat st;
	char stream[64];

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	event_init("recseal-test");
	event_log(LOG_INFO, EVENT_STARTED, NULL, "up");
}

static void init_and_log(void)
{
	event_init("recseal-test");
	event_log(LOG_ERR, EVENT_KEY_TROUBLE, &(struct event_fields){.epoch = 7}, "trouble: %s",
			"disk");
}

static void log_plain(void)
{
	event_log(LOG_WARNING, EVENT_PLAIN, NULL, "one\ntwo\x1b[2J\r%d", 3);
}

static int setup(void **state)
{
	memset(&journal, 0, sizeof(journal));
	unsetenv("JOURNAL_STREAM");
	unsetenv("NOTIFY_SOCKET");
	return 0;
}

static void test_stderr(void **state)
{
	assert_string_equal(stderr_of(init_and_log), "recseal-test: trouble: disk\n");
	assert_int_equal(journal.entries, 0);
	assert_string_equal(stderr_of(log_plain), "recseal-test: one two [2J 3\n");
}

/* The variable is inherited by whatever the service starts; the stream may be another by then. */
static void test_foreign_journal_stream(void **state)
{
	setenv("JOURNAL_STREAM", "1:2", 1);
	assert_string_equal(stderr_of(init_and_log), "recseal-test: trouble: disk\n");
	setenv("JOURNAL_STREAM", "nonsense", 1);
	assert_string_equal(stderr_of(init_and_log), "recseal-test: trouble: disk\n");
	assert_int_equal(journal.entries, 0);
}

static void test_journal_stream(void **state)
{
	assert_string_equal(stderr_of(init_with_journal_stream), "");
	assert_string_equal(journal.fields, "MESSAGE=up\nPRIORITY=6\nSYSLOG_IDENTIFIER=recseal-"
					    "test\nMESSAGE_ID=" EVENT_ID_STARTED "\n");
}

static void test_every_field(void **state)
{
	setenv("NOTIFY_SOCKET", "@none", 1);
	event_init("recseal-test");
	event_log(LOG_NOTICE, EVENT_SEALED,
			&(struct event_fields){"01recording", "handle", "spool-a", 9, 1234},
			"sealed");
	assert_string_equal(journal.fields,
			"MESSAGE=sealed\nPRIORITY=5\nSYSLOG_IDENTIFIER=recseal-test\nMESSAGE_"
			"ID=" EVENT_ID_SEALED
			"\nRECSEAL_RECORDING=01recording\nRECSEAL_ACCOUNT=handle\nRECSEAL_SPOOL=spool-a\n"
			"RECSEAL_EPOCH=9\nRECSEAL_EXPOSURE_USEC=1234\n");
	event_log(LOG_DEBUG, EVENT_PLAIN, &(struct event_fields){.spool = "b"}, "two\nlines");
	assert_string_equal(journal.fields,
			"MESSAGE=two lines\nPRIORITY=7\nSYSLOG_IDENTIFIER=recseal-test\nRECSEAL_SPOOL=b\n");
}

/* Every event but a plain one has an id of its own. */
static void test_ids_differ(void **state)
{
	char ids[EVENT_MAX][33];

	setenv("NOTIFY_SOCKET", "@none", 1);
	event_init("recseal-test");
	for (enum event e = EVENT_PLAIN + 1; e < EVENT_MAX; e++) {
		event_log(LOG_INFO, e, NULL, "x");
		const char *id = strstr(journal.fields, "MESSAGE_ID=");
		assert_non_null(id);
		assert_int_equal(sscanf(id, "MESSAGE_ID=%32[0-9a-f]", ids[e]), 1);
		assert_int_equal(strlen(ids[e]), 32);
		for (enum event other = EVENT_PLAIN + 1; other < e; other++)
			assert_string_not_equal(ids[e], ids[other]);
	}
}

/* No journal, or one that fails, never swallows a message. */
static void test_fallback(void **state)
{
	setenv("NOTIFY_SOCKET", "@none", 1);
	journal.absent = true;
	assert_string_equal(stderr_of(init_and_log), "recseal-test: trouble: disk\n");
	journal.absent = false;
	journal.result = -ENOBUFS;
	assert_string_equal(stderr_of(init_and_log), "recseal-test: trouble: disk\n");
	assert_int_equal(journal.entries, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup(test_stderr, setup),
			cmocka_unit_test_setup(test_foreign_journal_stream, setup),
			cmocka_unit_test_setup(test_journal_stream, setup),
			cmocka_unit_test_setup(test_every_field, setup),
			cmocka_unit_test_setup(test_ids_differ, setup),
			cmocka_unit_test_setup(test_fallback, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
