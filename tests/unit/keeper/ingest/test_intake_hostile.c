/* Every field of the intake's messages missing, of the wrong type, or absurd: the connection is
 * closed, nothing is sealed, and the next intake is served. */
#include "tests/unit/keeper/ingest/intake_peer.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/common/wire/intake_wire.h"

/* Values to put in a field's place; which of them it takes is a set of these. */
enum value {
	MISSING = 1 << 0,
	NOTHING = 1 << 1,
	TRUTH = 1 << 2,
	ZERO = 1 << 3,
	NEGATIVE = 1 << 4,
	HUGE_NUMBER = 1 << 5,
	FRACTION = 1 << 6,
	EMPTY = 1 << 7,
	WORD = 1 << 8,       /* a name, and good base64 of three bytes */
	BAD_BASE64 = 1 << 9, /* and no name */
	NUL_INSIDE = 1 << 10,
	LONG = 1 << 11, /* 8 KiB, base64 */
	LIST = 1 << 12,
	OBJECT = 1 << 13,
	VALUES = 1 << 14,
};

static json_t *make(enum value value)
{
	_cleanup_free_ char *text = NULL;

	switch (value) {
	case NOTHING:
		return json_null();
	case TRUTH:
		return json_true();
	case ZERO:
		return json_integer(0);
	case NEGATIVE:
		return json_integer(-1);
	case HUGE_NUMBER:
		return json_integer(INT64_MAX);
	case FRACTION:
		return json_real(1.5);
	case EMPTY:
		return json_string("");
	case WORD:
		return json_string("abcd");
	case BAD_BASE64:
		return json_string("../A=\n");
	case NUL_INSIDE:
		return json_string("YQBi"); /* base64 of "a\0b"; as a name, capitals */
	case LONG:
		text = malloc(8193);
		memset(text, 'a', 8192);
		text[8192] = '\0';
		return json_string(text);
	case LIST:
		return json_array();
	default:
		return json_object();
	}
}

static const struct {
	const char *object; /* NULL: the message itself */
	const char *key;
	unsigned takes;
} fields[] = {
		{NULL, "op", 0},
		{NULL, "job", ZERO},
		{NULL, "spool", WORD},
		{NULL, "class", WORD},
		{NULL, "account", NOTHING | EMPTY | WORD | NUL_INSIDE},
		{NULL, "path", WORD},
		{NULL, "source", 0},
		{NULL, "recorded_us", ZERO | HUGE_NUMBER},
		{NULL, "finished_us", ZERO | HUGE_NUMBER},
		{NULL, "plain_bytes", ZERO | HUGE_NUMBER},
		{NULL, "probe", 0},
		{NULL, "sidecars", LIST},
		{NULL, "discarded", TRUTH},
		{"probe", "condition", 0},
		{"probe", "format", MISSING | NOTHING | EMPTY | WORD | NUL_INSIDE},
		{"probe", "damage", MISSING | NOTHING | EMPTY | WORD | NUL_INSIDE},
		{"probe", "channels", MISSING | NOTHING | ZERO},
		{"probe", "sample_rate", MISSING | NOTHING | ZERO},
		{"probe", "frames", MISSING | NOTHING | ZERO | HUGE_NUMBER},
		{"probe", "recoverable_bytes", MISSING | NOTHING | ZERO | HUGE_NUMBER},
};

static void try_field(struct intake_peer *peer, size_t i, enum value value)
{
	json_t *message = intake_peer_begin(1);
	json_t *object = fields[i].object ? json_object_get(message, fields[i].object) : message;
	bool takes = fields[i].takes & value;

	if (value == MISSING)
		json_object_del(object, fields[i].key);
	else
		json_object_set_new(object, fields[i].key, make(value));
	intake_peer_connect(peer, true);
	intake_peer_send(peer, message);
	json_t *answer = intake_peer_receive(peer);
	if (takes != !!answer)
		fail_msg("%s, value %#x: %s", fields[i].key, (unsigned)value,
				answer ? "taken" : "refused");
	json_decref(answer);
}

static void test_every_field_of_a_begin(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
		for (unsigned value = MISSING; value < VALUES; value <<= 1)
			try_field(*state, i, (enum value)value);
	}
}

static const char *const datagrams[] = {
		"x",
		"\"hello\"",
		"[]",
		"{}",
		"null",
		"{\"op\":1}",
		"{\"op\":null}",
		"{\"op\":\"\"}",
		"{\"op\":\"begin\"",
		"{\"op\":\"BEGIN\",\"job\":1}",
		"{\"op\":\"committed\",\"job\":1}",
		"{\"op\":\"abort\",\"op\":\"abort\",\"job\":1}",
		"{\"op\":\"abort\"}",
		"{\"op\":\"abort\",\"job\":\"1\"}",
		"{\"op\":\"abort\",\"job\":-1}",
		"{\"op\":\"abort\",\"job\":4294967296}",
		"{\"op\":\"abort\",\"job\":99999999999999999999999999}",
		"{\"op\":\"abort\",\"job\":1}{\"op\":\"abort\",\"job\":1}",
		"{\"op\":\"abort\\u0000\",\"job\":1}",
		"{\"op\":\"commit\",\"job\":1}",
		"{\"op\":\"unlinked\",\"job\":1}",
		"{\"op\":\"unlinked\",\"job\":1,\"exposure_us\":-5}",
		"{\"op\":\"unlinked\",\"job\":1,\"exposure_us\":9223372036854775807}",
		"{\"op\":\"report\"}",
		"{\"op\":\"report\",\"spools\":{}}",
		"{\"op\":\"\xff\xfe\"}",
};

static void expect_refused(struct intake_peer *peer, const void *bytes, size_t len)
{
	intake_peer_connect(peer, true);
	intake_peer_send_raw(peer, bytes, len);
	intake_peer_expect_closed(peer);
}

static void test_nonsense(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(datagrams); i++)
		expect_refused(*state, datagrams[i], strlen(datagrams[i]));
	expect_refused(*state, "{\"op\":\"abort\",\"job\":1}\0", 23);
}

static void test_large_and_deep(void **state)
{
	_cleanup_free_ char *bytes = malloc(2 * INTAKE_MESSAGE_MAX);
	static const char prefix[] = "{\"op\":\"report\",\"spools\":";

	memset(bytes, ' ', 2 * INTAKE_MESSAGE_MAX);
	memcpy(bytes, "{\"op\":\"abort\",\"job\":1}", 22);
	expect_refused(*state, bytes, INTAKE_MESSAGE_MAX + 1); /* good, except for its blanks */
	memset(bytes, '[', 2 * INTAKE_MESSAGE_MAX);
	expect_refused(*state, bytes, INTAKE_MESSAGE_MAX);
	memcpy(bytes, prefix, strlen(prefix));
	expect_refused(*state, bytes, INTAKE_MESSAGE_MAX);
}

/* Control: as many blanks as a message may have are no fault. */
static void test_just_large_enough(void **state)
{
	struct intake_peer *peer = *state;
	_cleanup_free_ char *bytes = malloc(INTAKE_MESSAGE_MAX);

	memset(bytes, ' ', INTAKE_MESSAGE_MAX);
	memcpy(bytes, "{\"op\":\"abort\",\"job\":1}", 22);
	intake_peer_connect(peer, true);
	intake_peer_send_raw(peer, bytes, INTAKE_MESSAGE_MAX);
	intake_peer_send(peer, intake_peer_begin(1));
	json_decref(intake_peer_expect(peer, "begun", 1));
}

static void test_a_path_with_a_nul(void **state)
{
	struct intake_peer *peer = *state;
	json_t *message = intake_peer_begin(1);

	intake_peer_connect(peer, true);
	json_object_set_new(message, "path", intake_wire_base64("a\0b", 3));
	intake_peer_send(peer, message);
	intake_peer_expect_closed(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			with_peer(test_every_field_of_a_begin),
			with_peer(test_nonsense),
			with_peer(test_large_and_deep),
			with_peer(test_just_large_enough),
			with_peer(test_a_path_with_a_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
