/* The wire between intake and keeper: what is sent arrives, and hostile datagrams do not get in. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/intake/work/job_grant.h"

static int pair[2];

static int open_pair(void **state)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
}

static int close_pair(void **state)
{
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static void messages_and_descriptors_arrive(void **state)
{
	struct socket_fds sent = {.fd = {pair[0], pair[1]}, .count = 2}, got = {.count = 0};
	json_t *message = json_pack("{s:s, s:i}", "op", "hello", "version", 1), *back;

	assert_int_equal(intake_wire_send(pair[0], message, &sent), 0);
	assert_int_equal(intake_wire_receive(pair[1], &back, &got), 0);
	assert_true(json_equal(message, back));
	assert_int_equal(got.count, 2);
	assert_true(fcntl(got.fd[0], F_GETFD) & FD_CLOEXEC);
	socket_fds_close(&got);
	json_decref(message);
	json_decref(back);
}

static void full_closed_and_too_long_are_told_apart(void **state)
{
	json_t *message = json_pack("{s:s}", "op", "x"), *back;
	struct socket_fds fds;
	int r;

	assert_int_equal(intake_wire_receive(pair[1], &back, &fds), -EAGAIN);
	do
		r = intake_wire_send(pair[0], message, NULL);
	while (r == 0);
	assert_int_equal(r, -EAGAIN);
	json_decref(message);
	char *huge = calloc(1, INTAKE_MESSAGE_MAX);
	memset(huge, 'a', INTAKE_MESSAGE_MAX - 1);
	message = json_pack("{s:s, s:s}", "op", "x", "y", huge);
	assert_int_equal(intake_wire_send(pair[1], message, NULL), -EMSGSIZE);
	json_decref(message);
	free(huge);
	shutdown(pair[1], SHUT_RDWR);
	assert_int_equal(intake_wire_receive(pair[1], &back, &fds), 0);
	json_decref(back);
	while ((r = intake_wire_receive(pair[1], &back, &fds)) == 0)
		json_decref(back);
	assert_int_equal(r, -ECONNRESET);
}

static void hostile_datagrams_are_refused(void **state)
{
	static const char *const bad[] = {"x", "{", "[]", "null", "{}", "{\"op\":1}",
			"{\"op\":\"a\"} trailing", "{\"op\":\"a\",\"op\":\"b\"}",
			"{\"op\":\"\\u0000\"}", "{\"op\":\"\xff\"}",
			"{\"op\":\"a\",\"n\":99999999999999999999}"};
	const struct socket_fds sent = {.fd = {pair[0]}, .count = 1};
	int spare_before = dup(0), spare_after;
	struct socket_fds fds;
	json_t *message;

	close(spare_before);
	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		assert_true(socket_send(pair[0], bad[i], strlen(bad[i]), &sent) > 0);
		assert_int_equal(intake_wire_receive(pair[1], &message, &fds), -RE_PROTOCOL);
	}
	assert_true(socket_send(pair[0], "{\"op\":\"a\"}\0", 11, &sent) > 0);
	assert_int_equal(intake_wire_receive(pair[1], &message, &fds), -RE_PROTOCOL);
	/* Descriptors that came with them do not stay open. */
	spare_after = dup(0);
	assert_int_equal(spare_before, spare_after);
	close(spare_after);
}

static void oversized_datagram_is_refused(void **state)
{
	size_t len = INTAKE_MESSAGE_MAX + 1;
	char *text = malloc(len);
	struct socket_fds fds;
	json_t *message;

	memset(text, ' ', len);
	memcpy(text, "{\"op\":\"a\"}", 10);
	assert_int_equal(socket_send(pair[0], text, len, NULL), len);
	assert_int_equal(intake_wire_receive(pair[1], &message, &fds), -RE_PROTOCOL);
	free(text);
}

static void deep_nesting_does_not_crash(void **state)
{
	static char text[60000];
	struct socket_fds fds;
	json_t *message;

	memset(text, '[', sizeof(text));
	memcpy(text, "{\"op\":", 6);
	assert_true(socket_send(pair[0], text, sizeof(text), NULL) > 0);
	assert_int_equal(intake_wire_receive(pair[1], &message, &fds), -RE_PROTOCOL);
}

static void base64_goes_both_ways(void **state)
{
	uint8_t bytes[100], *back;
	size_t len;

	randombytes_buf(bytes, sizeof(bytes));
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		json_t *o = json_pack("{s:o}", "b", intake_wire_base64(bytes, n));
		assert_int_equal(intake_wire_bytes(o, "b", n, &back, &len), 0);
		assert_int_equal(len, n);
		assert_memory_equal(back, bytes, n);
		assert_int_equal(back[n], 0);
		free(back);
		if (n > 0)
			assert_int_equal(intake_wire_bytes(o, "b", n - 1, &back, &len),
					-RE_PROTOCOL);
		json_decref(o);
	}
}

static void bad_base64_is_refused(void **state)
{
	static const char *const bad[] = {"A", "AA", "AAA", "AA=", "A===", "AA==x", "AA==\n",
			"AB==", "-_==", "AAAA=", "AAAA AAAA"};
	uint8_t *bytes;
	size_t len;

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		json_t *o = json_pack("{s:s}", "b", bad[i]);
		assert_int_equal(intake_wire_bytes(o, "b", 64, &bytes, &len), -RE_PROTOCOL);
		json_decref(o);
	}
	json_t *o = json_pack("{s:i}", "b", 1);
	assert_int_equal(intake_wire_bytes(o, "b", 64, &bytes, &len), -RE_PROTOCOL);
	assert_int_equal(intake_wire_bytes(o, "c", 64, &bytes, &len), -RE_PROTOCOL);
	json_decref(o);
}

/* ---- `begun`, as the intake checks it ---- */

static int grant(const char *nonce, const char *header, int object_fd, int key_fd, size_t n_fds)
{
	struct socket_fds fds = {.fd = {object_fd, key_fd, object_fd}, .count = n_fds};
	json_t *message = json_pack("{s:s*, s:s*}", "nonce", nonce, "header", header);
	struct job_grant got;
	int r = job_grant_read(message, &fds, &got);

	json_decref(message);
	if (r == 0) {
		assert_int_equal(fds.fd[0], -1);
		assert_int_equal(fds.fd[1], -1);
		assert_int_equal(got.object_fd, object_fd);
		free(got.header);
	}
	return r;
}

static void grants_are_checked(void **state)
{
	static const char nonce[] = "AAAAAAAAAAAAAAAAAAAAAA==", header[] = "YWdl";
	_cleanup_close_ int object = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
			    readonly = open("/dev/null", O_RDONLY | O_CLOEXEC),
			    device = open("/dev/null", O_RDWR | O_CLOEXEC),
			    key = secret_to_fd("0123456789abcdef0123456789abcdef", 32);

	assert_true(object >= 0 && key >= 0);
	assert_int_equal(grant(nonce, header, object, key, 2), 0);
	assert_int_equal(grant(nonce, header, object, key, 1), -RE_PROTOCOL);
	assert_int_equal(grant(nonce, header, object, key, 3), -RE_PROTOCOL);
	assert_int_equal(grant(nonce, header, readonly, key, 2), -RE_PROTOCOL);
	assert_int_equal(grant(nonce, header, device, key, 2), -RE_PROTOCOL);
	assert_int_equal(grant(NULL, header, object, key, 2), -RE_PROTOCOL);
	assert_int_equal(grant("AAAA", header, object, key, 2), -RE_PROTOCOL);
	assert_int_equal(grant(nonce, NULL, object, key, 2), -RE_PROTOCOL);
	assert_int_equal(grant(nonce, "?", object, key, 2), -RE_PROTOCOL);
	assert_int_equal(write(object, "x", 1), 1); /* not empty any more */
	assert_int_equal(grant(nonce, header, object, key, 2), -RE_PROTOCOL);
}

#define on_pair(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
			on_pair(messages_and_descriptors_arrive),
			on_pair(full_closed_and_too_long_are_told_apart),
			on_pair(hostile_datagrams_are_refused),
			on_pair(oversized_datagram_is_refused),
			on_pair(deep_nesting_does_not_crash),
			cmocka_unit_test(base64_goes_both_ways),
			cmocka_unit_test(bad_base64_is_refused),
			cmocka_unit_test(grants_are_checked),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
