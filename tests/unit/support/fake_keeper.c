#include "tests/unit/support/fake_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/secret.h"

#define PATIENCE_S 60
#define RECORDING  "01arz3ndektsv4rrffq69g5fav"

static const char header[] = "fake header\n";

void fake_keeper_start(struct fake_keeper *keeper, const char *socket_path)
{
	*keeper = (struct fake_keeper){.fd = -1, .know_committed = true};
	keeper->listen_fd = socket_listen(socket_path, SOCK_SEQPACKET, 0600);
	assert_true(keeper->listen_fd >= 0);
}

void fake_keeper_vanish(struct fake_keeper *keeper)
{
	if (keeper->fd >= 0)
		close(keeper->fd);
	keeper->fd = -1;
}

void fake_keeper_stop(struct fake_keeper *keeper)
{
	fake_keeper_vanish(keeper);
	close(keeper->listen_fd);
	for (size_t i = 0; i < keeper->n; i++) {
		struct fake_recording *r = &keeper->recordings[i];
		json_decref(r->begin);
		free(r->path);
		if (r->object_fd >= 0)
			close(r->object_fd);
	}
	json_decref(keeper->report);
	json_decref(keeper->question);
}

static void tell(struct fake_keeper *keeper, json_t *message, const struct socket_fds *fds)
{
	assert_non_null(message);
	/* The intake may be gone: that is what some tests are about. */
	intake_wire_send(keeper->fd, message, fds);
	json_decref(message);
}

void fake_keeper_say(struct fake_keeper *keeper, const char *text)
{
	assert_true(socket_send(keeper->fd, text, strlen(text), NULL) > 0);
}

void fake_keeper_answer_begin(struct fake_keeper *keeper, struct fake_recording *r)
{
	struct socket_fds fds = {.count = 2};

	randombytes_buf(r->nonce, sizeof(r->nonce));
	randombytes_buf(r->key, sizeof(r->key));
	r->object_fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	fds.fd[0] = r->object_fd;
	fds.fd[1] = secret_to_fd(r->key, sizeof(r->key));
	assert_true(fds.fd[0] >= 0 && fds.fd[1] >= 0);
	tell(keeper,
			json_pack("{s:s, s:I, s:s, s:o, s:o}", "op", "begun", "job", r->job,
					"recording", RECORDING, "header",
					intake_wire_base64(header, strlen(header)), "nonce",
					intake_wire_base64(r->nonce, sizeof(r->nonce))),
			&fds);
	close(fds.fd[1]);
}

void fake_keeper_answer_commit(struct fake_keeper *keeper, struct fake_recording *r)
{
	r->state = FAKE_COMMITTED;
	tell(keeper,
			json_pack("{s:s, s:I, s:s}", "op", "committed", "job", r->job, "recording",
					RECORDING),
			NULL);
}

static bool was_committed(const struct fake_keeper *keeper, const struct fake_recording *r)
{
	const json_t *source = json_object_get(r->begin, "source");

	for (size_t i = 0; i < keeper->n; i++) {
		const struct fake_recording *other = &keeper->recordings[i];
		if (other->state == FAKE_COMMITTED &&
				json_equal(json_object_get(other->begin, "source"), source))
			return true;
	}
	return false;
}

static void check_begin(const json_t *begin)
{
	const char *account = NULL, *path, *source;

	assert_non_null(json_object_get(begin, "account"));
	json_unpack((json_t *)(uintptr_t)begin, "{s:s}", "account", &account);
	assert_int_equal(json_unpack((json_t *)(uintptr_t)begin, "{s:s, s:s}", "path", &path,
					 "source", &source),
			0);
	assert_int_equal(strlen(source), 44);
	assert_true(json_is_boolean(json_object_get(begin, "firm")));
	assert_true(json_integer_value(json_object_get(begin, "recorded_us")) > 0);
	assert_true(json_integer_value(json_object_get(begin, "finished_us")) > 0);
	assert_true(json_integer_value(json_object_get(begin, "plain_bytes")) > 0);
	assert_true(json_is_string(json_object_get(begin, "class")));
	assert_true(json_is_string(json_object_get(json_object_get(begin, "probe"), "condition")));
}

static bool is_held(const struct fake_keeper *keeper, const struct fake_recording *r)
{
	json_int_t bytes = json_integer_value(json_object_get(r->begin, "plain_bytes"));

	return keeper->hold_from_bytes > 0 && (uint64_t)bytes >= keeper->hold_from_bytes;
}

static void on_begin(struct fake_keeper *keeper, json_t *message)
{
	struct fake_recording *r = &keeper->recordings[keeper->n];
	uint8_t *path;
	size_t len;

	assert_true(keeper->n < FAKE_RECORDINGS);
	check_begin(message);
	assert_int_equal(intake_wire_bytes(message, "path", 4096, &path, &len), 0);
	*r = (struct fake_recording){.begin = json_incref(message),
			.job = json_integer_value(json_object_get(message, "job")),
			.path = (char *)path,
			.state = FAKE_BEGUN,
			.object_fd = -1};
	r->known = keeper->know_committed && was_committed(keeper, r);
	keeper->n++;
	if (keeper->fail_with) {
		r->state = FAKE_FAILED;
		tell(keeper,
				json_pack("{s:s, s:I, s:s, s:b}", "op", "failed", "job", r->job,
						"error", keeper->fail_with, "retry",
						keeper->fail_retry),
				NULL);
	} else if (!keeper->hold_begin && !is_held(keeper, r)) {
		fake_keeper_answer_begin(keeper, r);
	}
}

static struct fake_recording *by_job(struct fake_keeper *keeper, const json_t *message)
{
	json_int_t job = json_integer_value(json_object_get(message, "job"));

	for (size_t i = keeper->n; i-- > 0;) {
		if (keeper->recordings[i].job == job)
			return &keeper->recordings[i];
	}
	fail_msg("no job %lld", (long long)job);
	return NULL;
}

/* The object is forgotten: another one holds the same. */
static void answer_already(struct fake_keeper *keeper, struct fake_recording *r)
{
	r->state = FAKE_COMMITTED;
	close(r->object_fd);
	r->object_fd = -1;
	tell(keeper,
			json_pack("{s:s, s:I, s:s, s:b}", "op", "already", "job", r->job,
					"recording", RECORDING, "sidecars", keeper->know_sidecars),
			NULL);
}

static void on_commit(struct fake_keeper *keeper, struct fake_recording *r)
{
	assert_int_equal(r->state, FAKE_BEGUN);
	r->state = FAKE_COMMITTING;
	if (r->known)
		answer_already(keeper, r);
	else if (!keeper->hold_commit)
		fake_keeper_answer_commit(keeper, r);
}

/* Which question it was, for the tests; and whether it may be taken from. */
static void on_spool(struct fake_keeper *keeper, json_t *message)
{
	json_decref(keeper->question);
	keeper->question = json_incref(message);
	keeper->questions++;
	fake_keeper_answer_spool(keeper, !keeper->hold_spools);
}

void fake_keeper_answer_spool(struct fake_keeper *keeper, bool may)
{
	tell(keeper,
			json_pack("{s:s, s:O, s:O, s:b}", "op", "spool", "spool",
					json_object_get(keeper->question, "spool"), "folder",
					json_object_get(keeper->question, "folder"), "may",
					(int)may),
			NULL);
}

static void on_message(struct fake_keeper *keeper, json_t *message)
{
	const char *op = json_string_value(json_object_get(message, "op"));

	if (strcmp(op, "hello") == 0) {
		tell(keeper, json_pack("{s:s, s:i}", "op", "hello", "version", INTAKE_WIRE_VERSION),
				NULL);
	} else if (strcmp(op, "spool") == 0) {
		on_spool(keeper, message);
	} else if (strcmp(op, "begin") == 0) {
		on_begin(keeper, message);
	} else if (strcmp(op, "commit") == 0) {
		on_commit(keeper, by_job(keeper, message));
	} else if (strcmp(op, "abort") == 0) {
		by_job(keeper, message)->state = FAKE_ABORTED;
	} else if (strcmp(op, "unlinked") == 0) {
		/* The one rule above all: never before it was told that it may. */
		assert_int_equal(by_job(keeper, message)->state, FAKE_COMMITTED);
		assert_true(json_integer_value(json_object_get(message, "exposure_us")) >= 0);
	} else if (strcmp(op, "report") == 0) {
		json_decref(keeper->report);
		keeper->report = json_incref(message);
		keeper->reports++;
	} else {
		fail_msg("unknown op %s", op);
	}
}

static void receive(struct fake_keeper *keeper)
{
	struct socket_fds fds;
	json_t *message;
	int r = intake_wire_receive(keeper->fd, &message, &fds);

	if (r == -ECONNRESET) {
		fake_keeper_vanish(keeper);
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(fds.count, 0);
	on_message(keeper, message);
	json_decref(message);
}

static void serve(struct fake_keeper *keeper)
{
	struct pollfd poll_fd = {
			.fd = keeper->fd >= 0 ? keeper->fd : keeper->listen_fd, .events = POLLIN};

	if (poll(&poll_fd, 1, 20) <= 0)
		return;
	if (keeper->fd >= 0) {
		receive(keeper);
		return;
	}
	keeper->fd = accept4(keeper->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	keeper->connections += keeper->fd >= 0;
}

static int64_t monotonic_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

void fake_keeper_await(struct fake_keeper *keeper, fake_condition condition, const void *argument)
{
	int64_t end_s = monotonic_s() + PATIENCE_S;

	while (!condition(keeper, argument)) {
		assert_true(monotonic_s() < end_s);
		serve(keeper);
	}
}

struct fake_recording *fake_keeper_find(struct fake_keeper *keeper, const char *path)
{
	for (size_t i = keeper->n; i-- > 0;) {
		if (strcmp(keeper->recordings[i].path, path) == 0)
			return &keeper->recordings[i];
	}
	return NULL;
}

size_t fake_keeper_begins(const struct fake_keeper *keeper, const char *path)
{
	size_t n = 0;

	for (size_t i = 0; i < keeper->n; i++)
		n += strcmp(keeper->recordings[i].path, path) == 0;
	return n;
}

bool fake_keeper_committed(const struct fake_keeper *keeper, const char *path)
{
	for (size_t i = 0; i < keeper->n; i++) {
		if (keeper->recordings[i].state == FAKE_COMMITTED &&
				strcmp(keeper->recordings[i].path, path) == 0)
			return true;
	}
	return false;
}

struct expected {
	const uint8_t *bytes;
	size_t at, len;
};

static int compare(void *context, const uint8_t *plain, size_t len)
{
	struct expected *expected = context;

	assert_true(len <= expected->len - expected->at);
	assert_memory_equal(plain, expected->bytes + expected->at, len);
	expected->at += len;
	return 0;
}

void fake_keeper_assert_sealed(const struct fake_recording *r, const void *bytes, size_t len)
{
	struct expected expected = {.bytes = bytes, .len = len};
	off_t start = (off_t)strlen(header) + AGE_PAYLOAD_NONCE_BYTES;

	assert_int_equal(lseek(r->object_fd, start, SEEK_SET), start);
	assert_int_equal(age_stream_open_payload(r->object_fd, r->key, compare, &expected), 0);
	assert_int_equal(expected.at, len);
}
