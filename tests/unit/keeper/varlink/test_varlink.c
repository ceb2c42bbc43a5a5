/* The Varlink server and clients that keep to the protocol. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/unit/keeper/varlink/varlink_fixture.h"

static void test_introspection(void **state)
{
	struct fixture *f = *state;
	json_t *reply = client_call(&f->client, "org.varlink.service.GetInfo", NULL);
	const char *product, *first, *second, *description;

	assert_int_equal(json_unpack(reply, "{s:{s:s, s:[s, s!]}}", "parameters", "product",
					 &product, "interfaces", &first, &second),
			0);
	assert_string_equal(product, "product");
	assert_string_equal(first, "org.varlink.service");
	assert_string_equal(second, "org.example.test");
	json_decref(reply);
	reply = client_call(&f->client, "org.varlink.service.GetInterfaceDescription",
			json_pack("{s:s}", "interface", "org.example.test"));
	assert_int_equal(json_unpack(reply, "{s:{s:s}}", "parameters", "description", &description),
			0);
	assert_string_equal(description, "interface org.example.test\n");
	json_decref(reply);
	reply = client_call(&f->client, "org.varlink.service.GetInterfaceDescription",
			json_pack("{s:s}", "interface", "org.varlink.service"));
	assert_null(json_object_get(reply, "error"));
	json_decref(reply);
}

static void test_standard_errors(void **state)
{
	struct fixture *f = *state;
	struct client *c = &f->client;

	assert_error(client_call(c, "org.example.test.Nothing", NULL),
			"org.varlink.service.MethodNotFound", "method", "org.example.test.Nothing");
	assert_error(client_call(c, "org.varlink.service.Nothing", NULL),
			"org.varlink.service.MethodNotFound", "method",
			"org.varlink.service.Nothing");
	assert_error(client_call(c, "org.example.other.Echo", NULL),
			"org.varlink.service.InterfaceNotFound", "interface", "org.example.other");
	assert_error(client_call(c, "org.varlink.service.GetInterfaceDescription", NULL),
			"org.varlink.service.InvalidParameter", "parameter", "interface");
	assert_error(client_call(c, "org.varlink.service.GetInterfaceDescription",
				     json_pack("{s:s}", "interface", "org.example.other")),
			"org.varlink.service.InterfaceNotFound", "interface", "org.example.other");
	assert_error(client_call(c, "org.example.test.Stream", NULL),
			"org.varlink.service.ExpectedMore", NULL, NULL);
	assert_int_equal(f->streams_freed, 1);
}

static void test_null_members_are_absent(void **state)
{
	struct fixture *f = *state;

	client_send(&f->client, "{\"method\":\"org.example.test.Echo\",\"parameters\":null,"
				"\"more\":null,\"oneway\":null,\"com.example.extra\":{}}");
	json_t *reply = client_receive(&f->client, NULL);
	assert_int_equal(json_object_size(json_object_get(reply, "parameters")), 0);
	json_decref(reply);
}

static void test_split_bytes(void **state)
{
	struct fixture *f = *state;
	const char text[] = "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"n\":5}}";

	for (size_t i = 0; i < sizeof(text); i++) {
		assert_int_equal(f->calls, 0);
		client_write(&f->client, text + i, 1);
		loop_settle(&f->loop);
	}
	assert_echo(&f->client, 5);
}

static void test_pipelined_in_order(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 500; i++)
		send_echo(&f->client, i);
	for (int i = 0; i < 500; i++)
		assert_echo(&f->client, i);
	assert_int_equal(f->calls, 500);
}

static void test_half_close_is_answered(void **state)
{
	struct fixture *f = *state;

	send_echo(&f->client, 1);
	send_echo(&f->client, 2);
	assert_int_equal(shutdown(f->client.fd, SHUT_WR), 0);
	assert_echo(&f->client, 1);
	assert_echo(&f->client, 2);
	assert_null(client_receive(&f->client, NULL));
	loop_settle(&f->loop);
	assert_int_equal(varlink_server_connections(f->server), 0);
}

static void test_oneway_is_silent(void **state)
{
	struct fixture *f = *state;
	struct client *c = &f->client;

	client_send(c, "{\"method\":\"org.example.test.Echo\",\"oneway\":true}");
	client_send(c, "{\"method\":\"org.example.test.Nothing\",\"oneway\":true}");
	client_send(c, "{\"method\":\"org.example.test.Fd\",\"oneway\":true,"
		       "\"parameters\":{\"word\":\"lost\"}}");
	client_send(c, "{\"method\":\"org.example.test.Stream\",\"oneway\":true,\"more\":true,"
		       "\"parameters\":{\"pieces\":1000000,\"bytes\":1}}");
	send_echo(c, 3);
	assert_echo(c, 3);
	assert_int_equal(f->calls, 5);
	assert_int_equal(f->pieces, 0);
	assert_int_equal(f->streams_freed, 1);
	assert_int_equal(c->fds.count, 0);
}

static void test_stream(void **state)
{
	struct fixture *f = *state;

	client_send(&f->client, "{\"method\":\"org.example.test.Stream\",\"more\":true,"
				"\"parameters\":{\"pieces\":20,\"bytes\":100000}}");
	send_echo(&f->client, 4);
	for (int i = 0; i < 20; i++) {
		json_t *reply = client_receive(&f->client, NULL);
		assert_int_equal(json_is_true(json_object_get(reply, "continues")), i < 19);
		json_decref(reply);
	}
	assert_echo(&f->client, 4);
	assert_int_equal(f->streams_freed, 1);
}

static void test_stop_mid_stream(void **state)
{
	struct fixture *f = *state;

	client_send(&f->client, "{\"method\":\"org.example.test.Stream\",\"more\":true,"
				"\"parameters\":{\"pieces\":1000000,\"bytes\":65536}}");
	json_decref(client_receive(&f->client, NULL));
	stop_server(f);
	assert_int_equal(f->streams_freed, 1);
	start_server(f, NULL);
}

static void test_descriptor_goes_with_its_reply(void **state)
{
	struct fixture *f = *state;
	struct client *c = &f->client;
	size_t offset;
	char word[8] = "";

	c->read_bytes = 1;
	send_echo(c, 1);
	client_send(c, "{\"method\":\"org.example.test.Fd\",\"parameters\":{\"word\":\"one\"}}");
	send_echo(c, 2);
	client_send(c, "{\"method\":\"org.example.test.Fd\",\"parameters\":{\"word\":\"two\"}}");
	assert_echo(c, 1);
	assert_int_equal(c->fds.count, 0);
	json_decref(client_receive(c, &offset));
	assert_int_equal(c->fds.count, 1);
	assert_int_equal(c->fds_offset, offset);
	assert_int_equal(pread(c->fds.fd[0], word, 3, 0), 3);
	assert_string_equal(word, "one");
	assert_echo(c, 2);
	json_decref(client_receive(c, &offset));
	assert_int_equal(c->fds_offset, offset);
	assert_int_equal(pread(c->fds.fd[0], word, 3, 0), 3);
	assert_string_equal(word, "two");
}

static void test_descriptor_behind_a_big_reply(void **state)
{
	struct fixture *f = *state;
	struct client *c = &f->client;
	size_t offset;

	client_send(c, "{\"method\":\"org.example.test.Big\"}");
	client_send(c, "{\"method\":\"org.example.test.Fd\",\"parameters\":{\"word\":\"one\"}}");
	loop_settle(&f->loop);
	c->read_bytes = 1000;
	json_decref(client_receive(c, NULL));
	c->read_bytes = 1;
	json_decref(client_receive(c, &offset));
	assert_int_equal(c->fds.count, 1);
	assert_true(c->fds_offset <= offset);
}

/* A reply that takes many sends hands its descriptor over once, with the first of them. */
static void test_descriptor_of_a_big_reply(void **state)
{
	struct fixture *f = *state;
	struct client *c = &f->client;
	size_t offset;

	send_echo(c, 1);
	assert_echo(c, 1);
	client_send(c, "{\"method\":\"org.example.test.Fd\","
		       "\"parameters\":{\"word\":\"one\",\"bytes\":1000000}}");
	json_decref(client_receive(c, &offset));
	assert_int_equal(c->fds_total, 1);
	assert_int_equal(c->fds_offset, offset);
}

/* The socket is full when the reply is made: the descriptor waits with its first byte. */
static void test_descriptor_waits_for_its_first_byte(void **state)
{
	int pair[2];
	char buf[65536] = "";
	struct socket_fds fds = {.fd = {memfd_create("x", MFD_CLOEXEC)}, .count = 1};
	struct varlink_io io = {.request_bytes = REQUEST_BYTES};
	json_t *message = json_pack("{s:s}", "a", "b");
	size_t junk = 0;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	while ((n = send(pair[0], buf, sizeof(buf), 0)) > 0)
		junk += (size_t)n;
	io.fd = pair[0];
	assert_int_equal(varlink_io_put(&io, message, &fds), 0);
	assert_int_equal(fds.count, 0);
	assert_int_equal(varlink_io_flush(&io), 0);
	assert_non_null(io.out);
	assert_int_equal(io.out_fds.count, 1);
	while (junk > 0) {
		n = socket_recv(pair[1], buf, sizeof(buf), &fds);
		assert_true(n > 0);
		assert_int_equal(fds.count, 0);
		junk -= (size_t)n;
	}
	assert_int_equal(varlink_io_flush(&io), 0);
	assert_null(io.out);
	n = socket_recv(pair[1], buf, 1, &fds);
	assert_int_equal(n, 1);
	assert_int_equal(buf[0], '{');
	assert_int_equal(fds.count, 1);
	socket_fds_close(&fds);
	varlink_io_clear(&io);
	json_decref(message);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			WITH_SERVER(test_introspection),
			WITH_SERVER(test_standard_errors),
			WITH_SERVER(test_null_members_are_absent),
			WITH_SERVER(test_split_bytes),
			WITH_SERVER(test_pipelined_in_order),
			WITH_SERVER(test_half_close_is_answered),
			WITH_SERVER(test_oneway_is_silent),
			WITH_SERVER(test_stream),
			WITH_SERVER(test_stop_mid_stream),
			WITH_SERVER(test_descriptor_goes_with_its_reply),
			WITH_SERVER(test_descriptor_behind_a_big_reply),
			WITH_SERVER(test_descriptor_of_a_big_reply),
			cmocka_unit_test(test_descriptor_waits_for_its_first_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
