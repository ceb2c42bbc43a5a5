/* The Varlink server: how calls that take long share the loop, among each other and with the rest. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/unit/keeper/varlink/varlink_fixture.h"

#define SOMEBODY 65534

/* One step in each turn of the loop, however fast the machine is; and many. */
static const struct varlink_limits one_step = {
		.request_bytes = REQUEST_BYTES, .connections = 16, .patience_ms = 600000};
static const struct varlink_limits many_steps = {.request_bytes = REQUEST_BYTES,
		.connections = 16,
		.patience_ms = 600000,
		.turn_us = 60000000};

static void send_look(struct client *client, char mark, int looks)
{
	char text[128];

	snprintf(text, sizeof(text),
			"{\"method\":\"org.example.test.Look\","
			"\"parameters\":{\"mark\":\"%c\",\"looks\":%d}}",
			mark, looks);
	client_send(client, text);
}

static void assert_looked(struct client *client)
{
	json_t *reply = client_receive(client, NULL);

	assert_non_null(reply);
	assert_null(json_object_get(reply, "error"));
	assert_null(json_object_get(reply, "continues"));
	json_decref(reply);
}

/* How many looks of this mark are among the first n. */
static size_t count_looks(const struct fixture *f, char mark, size_t n)
{
	size_t count = 0;

	assert_true(n <= f->n_looks);
	for (size_t i = 0; i < n; i++)
		count += f->looks[i] == mark;
	return count;
}

/* The greatest number of looks in one turn of the loop, until the log has n of them. */
static size_t most_in_a_turn(struct fixture *f, size_t n)
{
	size_t most = 0;

	for (int i = 0; i < 100000 && f->n_looks < n; i++) {
		size_t before = f->n_looks;
		uv_run(&f->loop, UV_RUN_NOWAIT);
		if (f->n_looks - before > most)
			most = f->n_looks - before;
	}
	assert_true(f->n_looks >= n);
	return most;
}

static void test_an_answer_after_many_looks(void **state)
{
	struct fixture *f = *state;

	send_look(&f->client, 'a', 1);
	send_look(&f->client, 'b', 50);
	send_echo(&f->client, 3);
	assert_looked(&f->client);
	assert_looked(&f->client);
	assert_echo(&f->client, 3);
	assert_int_equal(f->n_looks, 51);
	assert_int_equal(f->streams_freed, 2);
}

static void test_oneway_takes_no_looks(void **state)
{
	struct fixture *f = *state;

	client_send(&f->client, "{\"method\":\"org.example.test.Look\",\"oneway\":true,"
				"\"parameters\":{\"looks\":1000000}}");
	send_echo(&f->client, 1);
	assert_echo(&f->client, 1);
	assert_int_equal(f->n_looks, 0);
	assert_int_equal(f->streams_freed, 1);
}

/* However many call at once: what else is on the loop waits for one step, not for one of each. */
static void test_a_turn_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct client many[8];

	restart_server(f, &one_step);
	for (size_t i = 0; i < ELEMENTSOF(many); i++) {
		client_connect(&many[i], &f->loop, f->path);
		send_look(&many[i], 'm', 50);
	}
	assert_int_equal(most_in_a_turn(f, 8 * 50), 1);
	for (size_t i = 0; i < ELEMENTSOF(many); i++) {
		assert_looked(&many[i]);
		client_close(&many[i]);
	}
}

/* Shows that the measure above would see a turn without a bound. */
static void test_a_turn_without_a_bound_is_seen(void **state)
{
	struct fixture *f = *state;

	restart_server(f, &many_steps);
	send_look(&f->client, 'm', 400);
	assert_true(most_in_a_turn(f, 400) > 100);
	assert_looked(&f->client);
}

static void test_connections_take_turns(void **state)
{
	struct fixture *f = *state;
	struct client second;

	restart_server(f, &one_step);
	client_connect(&second, &f->loop, f->path);
	send_look(&f->client, 'a', 200);
	assert_true(most_in_a_turn(f, 10) == 1);
	send_look(&second, 'b', 20);
	assert_looked(&second);
	assert_in_range(f->n_looks, 40, 60);
	assert_int_equal(count_looks(f, 'b', f->n_looks), 20);
	assert_looked(&f->client);
	client_close(&second);
}

/* Ten connections of one user are one user. */
static void test_users_take_turns(void **state)
{
	struct fixture *f = *state;
	struct client crowd[10];

	restart_server(f, &one_step);
	if (geteuid() != 0 || seteuid(SOMEBODY) < 0)
		skip();
	for (size_t i = 0; i < ELEMENTSOF(crowd); i++) {
		client_connect(&crowd[i], &f->loop, f->path);
		send_look(&crowd[i], 'c', 100);
	}
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(most_in_a_turn(f, 50), 1);
	send_look(&f->client, 'a', 100);
	assert_looked(&f->client);
	assert_int_equal(count_looks(f, 'a', f->n_looks), 100);
	assert_in_range(f->n_looks, 200, 260); /* fairly shared among eleven connections: 1,100 */
	for (size_t i = 0; i < ELEMENTSOF(crowd); i++) {
		assert_looked(&crowd[i]);
		client_close(&crowd[i]);
	}
}

static void test_lanes_take_turns(void **state)
{
	struct fixture *f = *state;
	struct client crowd[10], other;

	restart_server(f, &one_step);
	for (size_t i = 0; i < ELEMENTSOF(crowd); i++) {
		client_connect(&crowd[i], &f->loop, f->path);
		send_look(&crowd[i], 'c', 100);
	}
	assert_int_equal(most_in_a_turn(f, 50), 1);
	f->next_lane = 1;
	client_connect(&other, &f->loop, f->path);
	send_look(&other, 'o', 100);
	assert_looked(&other);
	assert_in_range(f->n_looks, 200, 260);
	for (size_t i = 0; i < ELEMENTSOF(crowd); i++) {
		assert_looked(&crowd[i]);
		client_close(&crowd[i]);
	}
	client_close(&other);
}

/* A look that nobody waits for is not taken. */
static void test_a_deserted_call_is_given_up(void **state)
{
	struct fixture *f = *state;

	restart_server(f, &one_step);
	send_look(&f->client, 'a', 1000000);
	assert_int_equal(most_in_a_turn(f, 20), 1);
	client_close(&f->client);
	size_t before = f->n_looks;
	loop_settle(&f->loop);
	assert_int_equal(f->streams_freed, 1);
	assert_in_range(f->n_looks, before, before + 1);
	assert_int_equal(varlink_server_connections(f->server), 0);
	client_connect(&f->client, &f->loop, f->path);
}

static void test_stop_between_looks(void **state)
{
	struct fixture *f = *state;

	restart_server(f, &one_step);
	send_look(&f->client, 'a', 1000000);
	assert_int_equal(most_in_a_turn(f, 20), 1);
	stop_server(f);
	assert_int_equal(f->streams_freed, 1);
	start_server(f, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			WITH_SERVER(test_an_answer_after_many_looks),
			WITH_SERVER(test_oneway_takes_no_looks),
			WITH_SERVER(test_a_turn_is_bounded),
			WITH_SERVER(test_a_turn_without_a_bound_is_seen),
			WITH_SERVER(test_connections_take_turns),
			WITH_SERVER(test_users_take_turns),
			WITH_SERVER(test_lanes_take_turns),
			WITH_SERVER(test_a_deserted_call_is_given_up),
			WITH_SERVER(test_stop_between_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
