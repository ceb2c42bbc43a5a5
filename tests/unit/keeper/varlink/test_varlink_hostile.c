/* The Varlink server and clients that do what no client should. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/unit/keeper/varlink/varlink_fixture.h"

#define SOMEBODY 65534

static void test_garbage_closes(void **state)
{
	static const char *const garbage[] = {
			"",
			"hello",
			"[]",
			"{}",
			"{\"method\":7}",
			"{\"method\":\"nodot\"}",
			"{\"method\":\"org.example.test.Echo\",\"parameters\":[]}",
			"{\"method\":\"org.example.test.Echo\",\"more\":1}",
			"{\"method\":\"org.example.test.Echo\",\"oneway\":\"yes\"}",
			"{\"method\":\"org.example.test.Echo\",\"upgrade\":true}",
			"{\"method\":\"org.example.test.Echo\",\"method\":\"org.example.test.Big\"}",
			"{\"method\":\"org.example.test.Echo\"} trailing",
			"{\"method\":\"org.example.test.Echo\xff\"}",
			"{\"method\":\"org.example.test.Echo\\u0000\"}",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ELEMENTSOF(garbage); i++) {
		struct client client;
		client_connect(&client, &f->loop, f->path);
		client_send(&client, garbage[i]);
		client_expect_close(&client);
		assert_int_equal(client.offset, 0); /* without a word */
		client_close(&client);
	}
	assert_int_equal(f->calls, 0);
	assert_serving(f);
}

static void test_oversized_closes(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = malloc(REQUEST_BYTES + 2);

	/* Exactly at the limit it is served ... */
	memset(text, ' ', REQUEST_BYTES + 2);
	memcpy(text, "{\"method\":\"org.example.test.Echo\"}", 34);
	text[REQUEST_BYTES] = '\0';
	client_write(&f->client, text, REQUEST_BYTES + 1);
	json_decref(client_receive(&f->client, NULL));
	assert_int_equal(f->calls, 1);
	/* ... and a byte over it is not, also when its end never comes. */
	text[REQUEST_BYTES] = ' ';
	client_write(&f->client, text, REQUEST_BYTES + 1);
	client_expect_close(&f->client);
	assert_int_equal(f->calls, 1);
	assert_serving(f);
}

static void test_endless_request_is_not_kept(void **state)
{
	struct fixture *f = *state;
	char noise[4096];

	memset(noise, 'x', sizeof(noise));
	for (int i = 0; i < 1000 && !f->client.closed; i++)
		client_write(&f->client, noise, sizeof(noise));
	assert_true(f->client.closed);
	assert_serving(f);
}

static void test_half_request_then_end(void **state)
{
	struct fixture *f = *state;

	client_write(&f->client, "{\"method\"", 9);
	assert_int_equal(shutdown(f->client.fd, SHUT_WR), 0);
	client_expect_close(&f->client);
	assert_int_equal(f->calls, 0);
}

/* A reader that stops: pieces stop being made, and others are served meanwhile. */
static void test_slow_reader_costs_little(void **state)
{
	struct fixture *f = *state;
	unsigned made = 0;

	client_send(&f->client, "{\"method\":\"org.example.test.Stream\",\"more\":true,"
				"\"parameters\":{\"pieces\":500,\"bytes\":65536}}");
	loop_settle(&f->loop);
	made = f->pieces;
	assert_true(made > 0);
	assert_true(made < 100); /* the socket's own buffer, and one */
	for (int i = 0; i < 20; i++)
		send_echo(&f->client, i); /* nor are its requests read */
	assert_serving(f);
	loop_settle(&f->loop);
	assert_int_equal(f->pieces, made);
	assert_int_equal(f->calls, 2);
	for (int i = 0; i < 500; i++)
		json_decref(client_receive(&f->client, NULL));
	for (int i = 0; i < 20; i++)
		assert_echo(&f->client, i);
}

static void test_disconnect_mid_stream(void **state)
{
	struct fixture *f = *state;

	client_send(&f->client, "{\"method\":\"org.example.test.Stream\",\"more\":true,"
				"\"parameters\":{\"pieces\":1000000,\"bytes\":65536}}");
	json_decref(client_receive(&f->client, NULL));
	client_close(&f->client);
	loop_settle(&f->loop);
	assert_int_equal(varlink_server_connections(f->server), 0);
	assert_int_equal(f->streams_freed, 1);
	client_connect(&f->client, &f->loop, f->path);
	assert_serving(f);
}

static void test_stalled_peers_are_closed(void **state)
{
	static const struct varlink_limits limits = {
			.request_bytes = REQUEST_BYTES, .connections = 8, .patience_ms = 40};
	struct fixture *f = *state;
	struct client idle, half, deaf;

	restart_server(f, &limits);
	client_connect(&idle, &f->loop, f->path);
	client_connect(&half, &f->loop, f->path);
	client_connect(&deaf, &f->loop, f->path);
	client_write(&half, "{\"method\"", 9);
	client_send(&deaf, "{\"method\":\"org.example.test.Stream\",\"more\":true,"
			   "\"parameters\":{\"pieces\":1000000,\"bytes\":65536}}");
	client_expect_close(&half);
	for (int i = 0; i < 10000 && varlink_server_connections(f->server) > 2; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
	assert_int_equal(f->streams_freed, 1);
	assert_int_equal(varlink_server_connections(f->server), 2);
	send_echo(&idle, 9); /* who merely thinks is not closed */
	assert_echo(&idle, 9);
	client_close(&idle);
	client_close(&half);
	client_close(&deaf);
}

/* All clients of this test are one user, who can crowd out nobody but himself. */
static void test_seats(void **state)
{
	struct fixture *f = *state;
	struct client more[8];

	for (size_t i = 0; i < ELEMENTSOF(more); i++)
		client_connect(&more[i], &f->loop, f->path);
	loop_settle(&f->loop);
	assert_int_equal(varlink_server_connections(f->server), 8);
	client_expect_close(&more[7]); /* the ninth, with the fixture's own */
	send_echo(&f->client, 1);
	assert_echo(&f->client, 1);
	client_close(&more[0]);
	loop_settle(&f->loop);
	assert_serving(f);
	for (size_t i = 1; i < ELEMENTSOF(more); i++)
		client_close(&more[i]);
}

static int count_open(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_sent_descriptors_are_not_kept(void **state)
{
	struct fixture *f = *state;
	struct socket_fds fds = {.fd = {0, 0, 0, 0}, .count = SOCKET_FDS_MAX};

	send_echo(&f->client, 0);
	assert_echo(&f->client, 0);
	int before = count_open();
	for (int i = 0; i < 50; i++) {
		assert_int_equal(socket_send(f->client.fd, "{", 1, &fds), 1);
		client_send(&f->client, "\"method\":\"org.example.test.Echo\"}");
		json_decref(client_receive(&f->client, NULL));
	}
	assert_int_equal(count_open(), before);
}

static void test_unanswered_calls_close(void **state)
{
	static const char *const methods[] = {"Forgetful", "NoMemory"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
		struct client client;
		char text[64];
		client_connect(&client, &f->loop, f->path);
		snprintf(text, sizeof(text), "{\"method\":\"org.example.test.%s\"}", methods[i]);
		client_send(&client, text);
		client_expect_close(&client);
		client_close(&client);
	}
	assert_serving(f);
}

/* Only root can be two users. The greedy one gives a seat to another, and only one. */
static void test_seats_of_two_users(void **state)
{
	struct fixture *f = *state;
	struct client greedy[7];

	if (geteuid() != 0 || seteuid(SOMEBODY) < 0)
		skip();
	for (size_t i = 0; i < ELEMENTSOF(greedy); i++)
		client_connect(&greedy[i], &f->loop, f->path);
	assert_int_equal(seteuid(0), 0);
	send_echo(&f->client, 1); /* the fixture's own is the eighth */
	assert_echo(&f->client, 1);
	loop_settle(&f->loop);
	assert_int_equal(varlink_server_connections(f->server), 8);
	assert_serving(f);
	client_expect_close(&greedy[0]); /* silent for longest */
	for (size_t i = 1; i < ELEMENTSOF(greedy); i++) {
		send_echo(&greedy[i], 2);
		assert_echo(&greedy[i], 2);
	}
	for (size_t i = 0; i < ELEMENTSOF(greedy); i++)
		client_close(&greedy[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			WITH_SERVER(test_garbage_closes),
			WITH_SERVER(test_oversized_closes),
			WITH_SERVER(test_endless_request_is_not_kept),
			WITH_SERVER(test_half_request_then_end),
			WITH_SERVER(test_slow_reader_costs_little),
			WITH_SERVER(test_disconnect_mid_stream),
			WITH_SERVER(test_stalled_peers_are_closed),
			WITH_SERVER(test_seats),
			WITH_SERVER(test_seats_of_two_users),
			WITH_SERVER(test_sent_descriptors_are_not_kept),
			WITH_SERVER(test_unanswered_calls_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
