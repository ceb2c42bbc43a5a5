/* The design of the epoch commit, exhaustively: every state that the model (epoch_model.h) can come
 * to, over every order of seals, erasures, faults of the medium and crashes, recovery's own
 * included. And that the search is worth something: each mistake that one could make in the design
 * breaks a property by name. */
#include "tests/unit/keeper/epoch_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define TABLE_START (1u << 16)
#define EPOCHS_MIN  3 /* that a history must have had for the search to mean anything */
/* Keys are drawn as often as this, the first included; then histories end. */
#define WIDE         4
#define DEEP         5
#define SOME_TARGETS 0x17 /* three recordings and the account of two of them */
#define DEEP_TARGETS 0x13 /* two recordings and their account */

_Static_assert(_Alignof(struct model) == 1, "compared as memory: no padding");

/* The states seen, in the order found: also the queue of those to go on from. */
struct search {
	const struct model_config *config;
	struct model *states;
	size_t count, room;
	uint32_t *table; /* of indices + 1; 0: free */
	size_t slots;
	size_t steps, recoveries, deep;
	unsigned stop_at, broken; /* properties */
	uint8_t epoch;
};

/* FNV-1a. */
static uint64_t hash(const struct model *m)
{
	const uint8_t *bytes = (const uint8_t *)m;
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < sizeof(*m); i++)
		h = (h ^ bytes[i]) * UINT64_C(1099511628211);
	return h ^ h >> 32;
}

/* Where the state is in the table, or would be. */
static uint32_t *place(struct search *s, const struct model *m)
{
	size_t i = hash(m) & (s->slots - 1);

	while (s->table[i] && memcmp(&s->states[s->table[i] - 1], m, sizeof(*m)) != 0)
		i = (i + 1) & (s->slots - 1);
	return &s->table[i];
}

static void grow(struct search *s)
{
	s->slots = s->slots ? 2 * s->slots : TABLE_START;
	free(s->table);
	s->table = calloc(s->slots, sizeof(*s->table));
	s->room = s->slots / 2;
	s->states = reallocarray(s->states, s->room, sizeof(*s->states));
	assert_true(s->table && s->states);
	for (size_t i = 0; i < s->count; i++)
		*place(s, &s->states[i]) = (uint32_t)i + 1;
}

static void visit(struct search *s, const struct model *m)
{
	if (s->count == s->room)
		grow(s);
	uint32_t *at = place(s, m);
	if (*at)
		return;
	s->states[s->count++] = *m;
	*at = (uint32_t)s->count;
	s->broken |= model_check(s->config, m);
	s->recoveries += m->pc == PC_DOWN;
	s->deep += m->epoch > EPOCHS_MIN;
	if (m->epoch > s->epoch)
		s->epoch = m->epoch;
}

static void follow(struct search *s, size_t from)
{
	struct model model = s->states[from], next;

	for (unsigned choice = 0; choice < MODEL_CHOICES; choice++) {
		if (!model_step(s->config, &model, choice, &next))
			continue;
		s->steps++;
		s->broken |= model_check_step(&model, &next);
		visit(s, &next);
	}
}

/* Everything that can be reached, or until one of the properties in stop_at is broken. */
static struct search search(const struct model_config *config, unsigned stop_at)
{
	struct search s = {.config = config, .stop_at = stop_at};
	struct model start;

	model_start(&start);
	visit(&s, &start);
	for (size_t i = 0; i < s.count && !(s.broken & stop_at); i++)
		follow(&s, i);
	free(s.states);
	free(s.table);
	return s;
}

static const char *property_names(unsigned broken)
{
	static char text[32];
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < 5; i++) {
		if (broken & 1u << i)
			len += (size_t)snprintf(text + len, sizeof(text) - len, " P%u", i + 1);
	}
	return text;
}

#define P_ALL 31u

static void assert_holds(struct model_config config, uint8_t epochs)
{
	struct search s = search(&config, P_ALL);

	print_message("%zu states (%zu past epoch %d, %zu down), %zu steps, up to epoch %u\n",
			s.count, s.deep, EPOCHS_MIN, s.recoveries, s.steps, s.epoch);
	if (s.broken)
		fail_msg("broken:%s", property_names(s.broken));
	assert_int_equal(s.epoch, epochs);
	assert_true(s.deep > 1000);
}

static void test_every_state_of_an_honest_medium(void **state)
{
	assert_holds((struct model_config){.generations = WIDE, .targets = SOME_TARGETS}, WIDE);
}

static void test_every_state_of_a_medium_that_lies(void **state)
{
	assert_holds((struct model_config){.medium = MEDIUM_LIES,
				     .generations = WIDE,
				     .targets = SOME_TARGETS},
			WIDE);
}

/* Fewer things to erase, but more attempts at it, the failed ones included. */
static void test_every_state_of_longer_histories(void **state)
{
	assert_holds((struct model_config){.medium = MEDIUM_LIES,
				     .generations = DEEP,
				     .targets = DEEP_TARGETS},
			DEEP);
}

static const struct {
	const char *what;
	enum model_mutant mutant;
	unsigned medium;
	enum model_property property;
} mutants[] = {
		{"receipt before erasure", MUTANT_RECEIPT_EARLY, 0, P2_DESTROYED_STAYS},
		{"receipt before tombstone", MUTANT_RECEIPT_EARLY, 0, P5_RECEIPT_HOLDS},
		{"tombstone before erasure", MUTANT_TOMBSTONE_EARLY, 0, P2_DESTROYED_STAYS},
		{"old slot cleared first", MUTANT_CLEAR_FIRST, 0, P1_LIVE_OPENS},
		{"old slot cleared first", MUTANT_CLEAR_FIRST, 0, P3_RECOVERS},
		{"and a root planted", MUTANT_CLEAR_FIRST_PLANT, 0, P4_NO_NEW_ROOT},
		{"slot before durable rows", MUTANT_STAGE_NOT_DURABLE, 0, P1_LIVE_OPENS},
		{"no clearing in recovery", MUTANT_NO_CLEAR_AT_START, 0, P2_DESTROYED_STAYS},
		{"no clearing in recovery", MUTANT_NO_CLEAR_AT_START, 0, P3_RECOVERS},
		{"no discard in recovery", MUTANT_NO_DISCARD, 0, P3_RECOVERS},
		{"no read-back", MUTANT_NO_READ_BACK, MEDIUM_LIES, P2_DESTROYED_STAYS},
		{"no read-back", MUTANT_NO_READ_BACK, MEDIUM_LIES, P1_LIVE_OPENS},
		{"L not re-keyed", MUTANT_KEEP_L, 0, P2_DESTROYED_STAYS},
		{"account not re-keyed", MUTANT_KEEP_ACCOUNT, 0, P2_DESTROYED_STAYS},
		{"sibling not sealed again", MUTANT_FORGET_SIBLING, 0, P1_LIVE_OPENS},
		{"discard in doubt", MUTANT_DISCARD_IN_DOUBT, 0, P1_LIVE_OPENS},
		{"finish in doubt", MUTANT_FINISH_IN_DOUBT, 0, P2_DESTROYED_STAYS},
};

/* Negative control. */
static void test_every_mutant_is_caught(void **state)
{
	bool seen[MUTANTS] = {true};

	for (size_t i = 0; i < ELEMENTSOF(mutants); i++) {
		struct model_config config = {.mutant = mutants[i].mutant,
				.medium = mutants[i].medium,
				.generations = WIDE,
				.targets = MODEL_ALL_TARGETS};
		struct search s = search(&config, mutants[i].property);
		if (!(s.broken & mutants[i].property))
			fail_msg("\"%s\" is not caught", mutants[i].what);
		print_message("%-26s caught after %zu states:%s\n", mutants[i].what, s.count,
				property_names(s.broken));
		seen[mutants[i].mutant] = true;
	}
	for (size_t i = 0; i < MUTANTS; i++)
		assert_true(seen[i]);
}

/* A medium that reports what it does needs no reading back: it is the lies that this is for. */
static void test_reading_back_is_for_lies(void **state)
{
	struct model_config config = {.mutant = MUTANT_NO_READ_BACK,
			.generations = WIDE,
			.targets = MODEL_ALL_TARGETS};

	assert_int_equal(search(&config, P_ALL).broken, 0);
}

/* What the design rests on: that a medium does not give back what it never stored, which is why
 * slots are read past the page cache (storage/root/root_file.c). */
static void test_what_is_assumed_of_the_medium(void **state)
{
	struct model_config config = {.medium = MEDIUM_LIES | MEDIUM_CACHED,
			.generations = WIDE,
			.targets = MODEL_ALL_TARGETS};

	assert_true(search(&config, P2_DESTROYED_STAYS).broken & P2_DESTROYED_STAYS);
}

/* But it may store later what it refused: there is no way back from an overwriting that was begun.
 * (P4 is about who writes roots, and here one lands by itself.) */
static void test_late_writes_do_no_harm(void **state)
{
	struct model_config config = {
			.medium = MEDIUM_LATE, .generations = WIDE, .targets = SOME_TARGETS};
	const unsigned wanted = P_ALL & ~(unsigned)P4_NO_NEW_ROOT;

	assert_int_equal(search(&config, wanted).broken & wanted, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_every_state_of_an_honest_medium),
			cmocka_unit_test(test_every_state_of_a_medium_that_lies),
			cmocka_unit_test(test_every_state_of_longer_histories),
			cmocka_unit_test(test_every_mutant_is_caught),
			cmocka_unit_test(test_reading_back_is_for_lies),
			cmocka_unit_test(test_what_is_assumed_of_the_medium),
			cmocka_unit_test(test_late_writes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
