/* The clock by the interface: what status says, and ConfirmClock. */
#include "tests/unit/support/control_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define KEEP_US (30 * US_PER_DAY) /* of the default class */

static void assert_clock(struct fixture *f, const char *state, bool known, bool warned)
{
	json_t *status = ask(f, "Status", NULL, "status");
	const json_t *clock = json_object_get(status, "clock");
	bool warning = false;

	assert_string_equal(text_of(clock, "state"), state);
	assert_int_equal(json_is_true(json_object_get(clock, "known")), known);
	assert_non_null(text_of(clock, "machine_at"));
	assert_non_null(text_of(clock, "counted_at"));
	for (size_t i = 0; i < json_array_size(json_object_get(status, "warnings")); i++) {
		const char *text = json_string_value(
				json_array_get(json_object_get(status, "warnings"), i));
		warning |= strstr(text, "recsealctl clock confirm") != NULL;
	}
	assert_int_equal(warning, warned);
	json_decref(status);
}

static void test_status_says_what_the_guard_does(void **state)
{
	struct fixture *f = *state;

	vault_fixture_look(&f->state);
	assert_clock(f, "synchronised", true, false);
	f->state.unsynchronised = true;
	vault_fixture_look(&f->state);
	assert_clock(f, "counting", true, false);
	f->state.wrong_us = US_PER_DAY;
	assert_clock(f, "ahead", true, true);
	f->state.wrong_us = -US_PER_DAY;
	assert_clock(f, "behind", true, true);
	f->state.wrong_us = 3600 * US_PER_S;
	f->state.vault->clock.row.known = false; /* as after a boot */
	assert_clock(f, "close", false, false);
	f->state.wrong_us = US_PER_DAY;
	assert_clock(f, "ahead", false, true);
	f->state.wrong_us = 0;
	f->state.unsynchronised = false;
	vault_fixture_look(&f->state);
	assert_clock(f, "synchronised", true, false);
}

static void test_an_officer_confirms_by_the_interface(void **state)
{
	struct fixture *f = *state;
	id_text id;
	bool more;

	f->state.unsynchronised = true;
	vault_fixture_look(&f->state);
	f->state.vault->clock.row.known = false;
	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 1, 1, &id);
	json_t *row = ask(f, "ShowRecording", json_pack("{s:s}", "id", id), "recording");
	assert_string_equal(text_of(row, "clock"), "unknown");
	json_decref(row);
	refute(f, "ConfirmClock", json_pack("{s:s}", "reason", " "), INTERFACE "Invalid",
			"parameter", "reason");
	f->state.wrong_us = -f->state.now_us;
	refute(f, "ConfirmClock", json_pack("{s:s}", "reason", "why"), INTERFACE "Refused", NULL,
			NULL);
	f->state.wrong_us = 0;
	json_t *retimed = ask(f, "ConfirmClock", json_pack("{s:s}", "reason", "looked"), "retimed");
	assert_int_equal(json_integer_value(retimed), 1);
	json_decref(retimed);
	assert_int_equal(count_audit(f, "confirm clock"), 1);
	assert_clock(f, "counting", true, false);
	row = ask(f, "ShowRecording", json_pack("{s:s}", "id", id), "recording");
	assert_string_equal(text_of(row, "clock"), "put right");
	json_decref(row);
	f->state.now_us += KEEP_US - 1;
	assert_int_equal(retention_run(&f->state.vault->eraser, 10, &more, NULL), 0);
	assert_int_equal(vault_fixture_state(&f->state, id), RECORDING_SEALED);
	f->state.now_us += 1;
	assert_int_equal(retention_run(&f->state.vault->eraser, 10, &more, NULL), 0);
	assert_int_equal(vault_fixture_state(&f->state, id), RECORDING_EXPIRED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			WITH_VAULT(test_status_says_what_the_guard_does),
			WITH_VAULT(test_an_officer_confirms_by_the_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
