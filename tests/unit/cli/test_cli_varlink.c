/* The Varlink client against servers that break the protocol in every way we could think of. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "cli/varlink_client.h"

/* A server that has sent all it will ever send, in these parts. */
struct part {
	const char *bytes;
	size_t len;
	size_t n_fds;
};
#define PART(literal)                                                                              \
	{                                                                                          \
		literal, sizeof(literal) - 1, 0                                                    \
	}
#define PART_FDS(literal, fds)                                                                     \
	{                                                                                          \
		literal, sizeof(literal) - 1, fds                                                  \
	}

static void send_part(int fd, const struct part *part)
{
	struct socket_fds fds = {.count = part->n_fds};

	for (size_t i = 0; i < part->n_fds; i++)
		fds.fd[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(socket_send(fd, part->bytes, part->len, &fds), part->len);
	socket_fds_close(&fds);
}

static struct varlink_client *client_of(int fd)
{
	struct varlink_client *client;

	assert_int_equal(varlink_client_new(fd, &client), 0);
	return client;
}

/* The server's end stays open when hang_up is false; it is small data, so nobody need read. */
static struct varlink_client *client_for(
		const struct part *parts, size_t n, bool hang_up, int *ret_server)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (size_t i = 0; i < n; i++)
		send_part(pair[1], &parts[i]);
	if (hang_up)
		shutdown(pair[1], SHUT_WR);
	*ret_server = pair[1];
	return client_of(pair[0]);
}

static int call_once(const struct part *parts, size_t n, struct varlink_reply *reply)
{
	int server;
	struct varlink_client *client = client_for(parts, n, true, &server);
	int r = varlink_client_call(client, "org.recseal.control.Status", json_object(), reply);

	varlink_client_free(client);
	close(server);
	return r;
}

static void test_reply_with_descriptors(void **state)
{
	const struct part parts[] = {PART_FDS("{\"param", 2), PART("eters\":{\"a\":1}}\0")};
	struct varlink_reply reply;

	assert_int_equal(call_once(parts, 2, &reply), VARLINK_REPLIED);
	assert_null(reply.error);
	assert_int_equal(json_integer_value(json_object_get(reply.parameters, "a")), 1);
	assert_int_equal(reply.fds.count, 2);
	assert_true(fcntl(reply.fds.fd[0], F_GETFD) & FD_CLOEXEC);
	varlink_client_reply_clear(&reply);
}

static void test_reply_without_parameters(void **state)
{
	const struct part parts[] = {PART("{}\0")};
	struct varlink_reply reply;

	assert_int_equal(call_once(parts, 1, &reply), VARLINK_REPLIED);
	assert_true(json_is_object(reply.parameters));
	varlink_client_reply_clear(&reply);
}

static void test_error_reply(void **state)
{
	const struct part parts[] = {PART("{\"error\":\"x.Y\",\"parameters\":{\"why\":\"z\"}}\0")};
	struct varlink_reply reply;

	assert_int_equal(call_once(parts, 1, &reply), VARLINK_FAILED);
	assert_string_equal(reply.error, "x.Y");
	assert_string_equal(json_string_value(json_object_get(reply.parameters, "why")), "z");
	varlink_client_reply_clear(&reply);
}

static void test_hostile_replies(void **state)
{
	static const struct {
		struct part part;
		int expected;
	} cases[] = {
			{PART(""), -ECONNRESET},
			{PART("{\"parameters\":{}}"), -ECONNRESET}, /* no NUL */
			{PART("\0"), -RE_PROTOCOL},
			{PART("nonsense\0"), -RE_PROTOCOL},
			{PART("[]\0"), -RE_PROTOCOL},
			{PART("{} {}\0"), -RE_PROTOCOL},
			{PART("{\"parameters\":[]}\0"), -RE_PROTOCOL},
			{PART("{\"parameters\":\"x\"}\0"), -RE_PROTOCOL},
			{PART("{\"error\":3}\0"), -RE_PROTOCOL},
			{PART("{\"continues\":1}\0"), -RE_PROTOCOL},
			{PART("{\"continues\":true}\0"), -RE_PROTOCOL}, /* nobody asked for more */
			{PART("{\"parameters\":{\"a\":1,\"a\":2}}\0"), -RE_PROTOCOL},
			{PART("{\"parameters\":{\"a\":\"\xff\"}}\0"), -RE_PROTOCOL},
			{PART("{}\0{}\0"), -RE_PROTOCOL}, /* a reply that answers nothing */
			{PART("{}\0x"), -RE_PROTOCOL},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct varlink_reply reply;
		size_t n = cases[i].part.len > 0;
		assert_int_equal(call_once(&cases[i].part, n, &reply), cases[i].expected);
	}
}

static size_t count_descriptors(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	return n;
}

static void test_too_many_descriptors_are_closed(void **state)
{
	const struct part parts[] = {
			PART_FDS("{\"par", 4), PART_FDS("ameters\":", 1), PART("{}}\0")};
	size_t before = count_descriptors();
	struct varlink_reply reply;

	assert_int_equal(call_once(parts, 3, &reply), -RE_PROTOCOL);
	assert_int_equal(count_descriptors(), before);
}

static void test_descriptors_of_a_bad_reply_are_closed(void **state)
{
	const struct part parts[] = {PART_FDS("{\"parameters\":3}\0", 3)};
	size_t before = count_descriptors();
	struct varlink_reply reply;

	assert_int_equal(call_once(parts, 1, &reply), -RE_PROTOCOL);
	assert_int_equal(count_descriptors(), before);
}

static void test_broken_stream_is_not_used_again(void **state)
{
	const struct part parts[] = {PART("[]\0{}\0")};
	struct varlink_reply reply;
	int server;
	struct varlink_client *client = client_for(parts, 1, false, &server);

	assert_int_equal(varlink_client_call(client, "a.B", json_object(), &reply), -RE_PROTOCOL);
	assert_int_equal(varlink_client_call(client, "a.B", json_object(), &reply), -RE_PROTOCOL);
	varlink_client_free(client);
	close(server);
}

/* A child that sends n bytes of one message, then its end. */
static pid_t send_long(const int pair[2], size_t n, const char *end, size_t end_len)
{
	int fd = pair[1];
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	close(pair[0]); /* else nobody ever tells that the client has gone */
	char block[8192];
	memset(block, ' ', sizeof(block));
	for (size_t sent = 0; sent < n;) {
		size_t len = n - sent < sizeof(block) ? n - sent : sizeof(block);
		ssize_t taken = socket_send(fd, block, len, NULL);
		if (taken < 0)
			_exit(0); /* the client has given up */
		sent += (size_t)taken;
	}
	socket_send(fd, end, end_len, NULL);
	_exit(0);
}

static int call_long(size_t n)
{
	static const char end[] = "{}"; /* and its NUL */
	struct varlink_reply reply = {0};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct varlink_client *client = client_of(pair[0]);
	pid_t pid = send_long(pair, n, end, sizeof(end));
	int r = varlink_client_call(client, "a.B", json_object(), &reply);
	varlink_client_free(client);
	close(pair[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	varlink_client_reply_clear(&reply);
	return r;
}

static void test_size_cap(void **state)
{
	assert_int_equal(call_long(VARLINK_MESSAGE_MAX_BYTES - 2), VARLINK_REPLIED);
	assert_int_equal(call_long(VARLINK_MESSAGE_MAX_BYTES - 1), -RE_PROTOCOL);
	assert_int_equal(call_long(8 * (size_t)VARLINK_MESSAGE_MAX_BYTES), -RE_PROTOCOL);
}

static int sum_pages(void *context, const json_t *parameters)
{
	int *sum = context;

	*sum += (int)json_integer_value(json_object_get(parameters, "n"));
	return *sum > 100 ? -ECANCELED : 0;
}

static int call_pages(const struct part *parts, size_t n, int *sum, struct varlink_reply *reply)
{
	int server;
	struct varlink_client *client = client_for(parts, n, true, &server);

	*sum = 0;
	int r = varlink_client_call_more(client, "a.B", json_object(), sum_pages, sum, reply);
	varlink_client_free(client);
	close(server);
	return r;
}

static void test_pages(void **state)
{
	const struct part parts[] = {PART("{\"parameters\":{\"n\":1},\"continues\":true}\0{\"para"),
			PART("meters\":{\"n\":2},\"continues\":true}\0{\"parameters\":{\"n\":4}}\0")};
	struct varlink_reply reply;
	int sum;

	assert_int_equal(call_pages(parts, 2, &sum, &reply), VARLINK_REPLIED);
	assert_int_equal(sum, 7);
}

static void test_pages_that_end_in_an_error(void **state)
{
	const struct part parts[] = {PART(
			"{\"parameters\":{\"n\":1},\"continues\":true}\0{\"error\":\"x.Y\"}\0")};
	struct varlink_reply reply;
	int sum;

	assert_int_equal(call_pages(parts, 1, &sum, &reply), VARLINK_FAILED);
	assert_int_equal(sum, 1);
	assert_string_equal(reply.error, "x.Y");
	varlink_client_reply_clear(&reply);
}

static void test_hostile_pages(void **state)
{
	static const struct {
		struct part part;
		int expected;
	} cases[] = {
			{PART("{\"parameters\":{\"n\":1},\"continues\":true}\0"), -ECONNRESET},
			{PART("{\"error\":\"x.Y\",\"continues\":true}\0"), -RE_PROTOCOL},
			{PART_FDS("{\"parameters\":{\"n\":1}}\0", 1), -RE_PROTOCOL},
			{PART("{\"parameters\":{\"n\":1}}\0{}\0"), -RE_PROTOCOL},
			{PART("{\"parameters\":{\"n\":101},\"continues\":true}\0"), -ECANCELED},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct varlink_reply reply;
		int sum;
		assert_int_equal(call_pages(&cases[i].part, 1, &sum, &reply), cases[i].expected);
	}
}

static void test_request_on_the_wire(void **state)
{
	static const char expected[] =
			"{\"method\":\"a.B\",\"parameters\":{\"x\":1},\"more\":true}";
	const struct part parts[] = {PART("{}\0")};
	struct varlink_reply reply;
	char sent[128] = {0};
	int server, sum = 0;
	struct varlink_client *client = client_for(parts, 1, false, &server);

	assert_int_equal(varlink_client_call_more(client, "a.B", json_pack("{s:i}", "x", 1),
					 sum_pages, &sum, &reply),
			VARLINK_REPLIED);
	assert_int_equal(read(server, sent, sizeof(sent)), sizeof(expected));
	assert_memory_equal(sent, expected, sizeof(expected));
	varlink_client_free(client);
	close(server);
}

static void test_failed_parameters_are_out_of_memory(void **state)
{
	struct varlink_reply reply;
	int server;
	struct varlink_client *client = client_for(NULL, 0, false, &server);

	assert_int_equal(varlink_client_call(client, "a.B", NULL, &reply), -ENOMEM);
	varlink_client_free(client);
	close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_reply_with_descriptors),
			cmocka_unit_test(test_reply_without_parameters),
			cmocka_unit_test(test_error_reply),
			cmocka_unit_test(test_hostile_replies),
			cmocka_unit_test(test_too_many_descriptors_are_closed),
			cmocka_unit_test(test_descriptors_of_a_bad_reply_are_closed),
			cmocka_unit_test(test_broken_stream_is_not_used_again),
			cmocka_unit_test(test_size_cap),
			cmocka_unit_test(test_pages),
			cmocka_unit_test(test_pages_that_end_in_an_error),
			cmocka_unit_test(test_hostile_pages),
			cmocka_unit_test(test_request_on_the_wire),
			cmocka_unit_test(test_failed_parameters_are_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
