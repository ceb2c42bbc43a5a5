/* Directory events: what arrives, and that a flood is noticed. */

#include "daemon/intake/spool/watch.h"
#include "tests/unit/support/spool_fixture.h"

static struct spool_fixture spool;
static uv_loop_t loop;
static struct watch *watch;

struct seen_event {
	enum watch_event event;
	size_t spool;
	char path[64];
};
static struct seen_event events[64];
static size_t n_events, n_overflows;

static void on_event(void *context, enum watch_event event, size_t index, const char *path)
{
	if (event == WATCH_OVERFLOW)
		n_overflows++;
	if (n_events == ELEMENTSOF(events))
		return;
	events[n_events] = (struct seen_event){.event = event, .spool = index};
	snprintf(events[n_events++].path, sizeof(events->path), "%s", path);
}

static int setup(void **state)
{
	spool_fixture_make(&spool);
	n_events = n_overflows = 0;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(watch_start(&loop, on_event, NULL, &watch), 0);
	assert_int_equal(watch_add(watch, 7, "", spool.fd, 1), 0);
	return 0;
}

static int teardown(void **state)
{
	watch = watch_stop(watch);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	spool_fixture_remove(&spool);
	return 0;
}

static void turn(void)
{
	n_events = 0;
	uv_run(&loop, UV_RUN_NOWAIT);
}

static void assert_event(size_t at, enum watch_event event, const char *path)
{
	assert_true(at < n_events);
	assert_int_equal(events[at].event, event);
	assert_int_equal(events[at].spool, 7);
	assert_string_equal(events[at].path, path);
}

static void files_and_directories_are_told(void **state)
{
	put_text(&spool, "file", "x");
	put_directory(&spool, "directory");
	assert_int_equal(renameat(spool.fd, "file", spool.fd, "renamed"), 0);
	turn();
	assert_int_equal(n_events, 4);
	assert_event(0, WATCH_CREATED, "file");
	assert_event(1, WATCH_CLOSED, "file");
	assert_event(2, WATCH_DIRECTORY, "directory");
	assert_event(3, WATCH_MOVED_IN, "renamed");
	/* Reading is no event. */
	close(openat(spool.fd, "renamed", O_RDONLY | O_CLOEXEC));
	turn();
	assert_int_equal(n_events, 0);
}

static void a_directory_is_known_by_its_latest_path(void **state)
{
	put_directory(&spool, "old");
	_cleanup_close_ int fd = openat(spool.fd, "old", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(watch_add(watch, 7, "old", fd, 1), 0);
	put_text(&spool, "old/a", "x");
	turn();
	assert_event(n_events - 1, WATCH_CLOSED, "old/a");
	assert_int_equal(renameat(spool.fd, "old", spool.fd, "new"), 0);
	assert_int_equal(watch_add(watch, 7, "new", fd, 2), 0);
	put_text(&spool, "new/b", "x");
	turn();
	assert_event(n_events - 1, WATCH_CLOSED, "new/b");
	/* The root was last seen in round 1: it is let go, with the rest of its round. */
	watch_forget(watch, 7, 2);
	put_text(&spool, "c", "x");
	put_text(&spool, "new/d", "x");
	turn();
	assert_event(0, WATCH_CREATED, "new/d");
}

static void the_end_of_the_root_is_told(void **state)
{
	char moved[80];

	/* Its removal is told only when nobody has it open any more, so it is renamed. */
	snprintf(moved, sizeof(moved), "%s.moved", spool.path);
	assert_int_equal(rename(spool.path, moved), 0);
	turn();
	assert_int_equal(rename(moved, spool.path), 0);
	assert_true(n_events > 0);
	assert_event(0, WATCH_ROOT_GONE, "");
}

static void many_directories_are_kept_apart(void **state)
{
	char path[32];

	for (int i = 0; i < 500; i++) {
		snprintf(path, sizeof(path), "d%d", i);
		put_directory(&spool, path);
		_cleanup_close_ int fd = openat(spool.fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(watch_add(watch, 7, path, fd, 1), 0);
	}
	turn();
	for (int i = 0; i < 500; i += 37) {
		snprintf(path, sizeof(path), "d%d/f", i);
		put_text(&spool, path, "x");
		turn();
		assert_event(1, WATCH_CLOSED, path);
	}
}

static void a_flood_is_noticed(void **state)
{
	_cleanup_close_ int fd =
			open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY | O_CLOEXEC);
	char text[16] = {0};

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 || atoi(text) > 100000)
		skip();
	put_text(&spool, "a", "x");
	for (int i = 0; i < atoi(text) / 2 + 2; i++) {
		assert_int_equal(renameat(spool.fd, "a", spool.fd, "b"), 0);
		assert_int_equal(renameat(spool.fd, "b", spool.fd, "a"), 0);
	}
	for (int i = 0; i < 100 && n_overflows == 0; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(n_overflows, 1);
}

#define on_spool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			on_spool(files_and_directories_are_told),
			on_spool(a_directory_is_known_by_its_latest_path),
			on_spool(the_end_of_the_root_is_told),
			on_spool(many_directories_are_kept_apart),
			on_spool(a_flood_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
