/* The design of changing where the root is kept, exhaustively: one mirror that is added, away, back,
 * lost, dropped and given up; a second one that only comes and goes, so that no epoch can be made;
 * orders, seals, and one database that is saved and put back at any time. A commit is one step
 * here: its own steps and crashes are test_epoch_model's. And each mistake that one could make
 * breaks a property. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RECORDINGS 2
#define EPOCHS     5 /* then histories end */

enum { NO_MIRROR, IN_USE, GIVEN_UP };

static enum mutant {
	SOUND,
	ADD_WITHOUT_EPOCH,
	GIVE_UP_WITHOUT_EPOCH,
	NO_FRESH_KEYS,
	NO_NEW_GROUP,
	NO_REMINDER_OF_ORDER,
	NO_REMINDER_OF_MIRROR,
	NOT_WAITING,
	NO_OVERWRITING,
	MUTANTS,
} mutant;

static const char *const mutants[MUTANTS] = {[ADD_WITHOUT_EPOCH] = "adding is no epoch",
		[GIVE_UP_WITHOUT_EPOCH] = "giving up is no epoch",
		[NO_FRESH_KEYS] = "accounts keep their keys",
		[NO_NEW_GROUP] = "groups take new members",
		[NO_REMINDER_OF_ORDER] = "no reminder of an order",
		[NO_REMINDER_OF_MIRROR] = "no reminder of a mirror",
		[NOT_WAITING] = "not waiting for who is away",
		[NO_OVERWRITING] = "dropped, not overwritten"};

/* What keeper.db says. All recordings are of one account, and of one group while that takes members. */
struct database {
	uint8_t epoch, mirror, given_up_epoch, owed;
	uint8_t knows;                      /* the mirror's id was used */
	uint8_t sealed, ordered, destroyed; /* bits of recordings */
	uint8_t account_key;                /* the epoch that drew it */
	uint8_t group_key; /* the account's key when the group was made; 0: no group */
	/* The oldest key that leads to it, and when it was sealed. */
	uint8_t leads[RECORDINGS], sealed_at[RECORDINGS];
};

struct state {
	struct database now, saved;              /* saved.epoch 0: none */
	uint8_t root;                            /* of the main copy: its epoch */
	uint8_t medium, medium_away, other_away; /* medium: the epoch of the root on it; 0: none */
	uint8_t reminded, mirror_reminded;       /* of this epoch */
	/* What people were told. */
	uint8_t asked, receipts, died_at[RECORDINGS], named[RECORDINGS];
	uint8_t leads[RECORDINGS], sealed_at[RECORDINGS]; /* of what has a receipt */
};

_Static_assert(_Alignof(struct state) == 1, "compared as memory: no padding");

static bool can_commit(const struct state *s)
{
	return s->root < EPOCHS &&
	       (mutant == NOT_WAITING ||
			       (!s->other_away && !(s->now.mirror == IN_USE && s->medium_away)));
}

static void give_receipt(struct state *s, unsigned i)
{
	s->receipts |= (uint8_t)(1u << i);
	s->died_at[i] = s->root;
	s->named[i] = s->now.mirror == GIVEN_UP ? s->now.given_up_epoch : 0;
	s->leads[i] = s->now.leads[i];
	s->sealed_at[i] = s->now.sealed_at[i];
}

static void commit(struct state *s)
{
	struct database *d = &s->now;
	bool shut_out = d->mirror == GIVEN_UP && d->given_up_epoch == d->epoch;

	s->root = ++d->epoch;
	if (d->mirror == IN_USE && s->medium && !s->medium_away)
		s->medium = s->root;
	if (d->ordered)
		d->account_key = d->group_key = s->root;
	for (unsigned i = 0; i < RECORDINGS; i++) {
		if (d->ordered & 1u << i)
			give_receipt(s, i);
	}
	d->destroyed |= d->ordered;
	d->sealed &= (uint8_t)~d->ordered;
	d->ordered = 0;
	if (shut_out && mutant != NO_FRESH_KEYS)
		d->account_key = s->root;
	if (shut_out && mutant != NO_NEW_GROUP)
		d->group_key = 0;
	s->reminded = s->mirror_reminded = 0;
}

static void commit_or_owe(struct state *s)
{
	s->now.owed = s->now.epoch;
	if (can_commit(s))
		commit(s);
}

static bool seal(struct state *s, unsigned i)
{
	struct database *d = &s->now;

	if ((d->sealed | d->destroyed) & 1u << i)
		return false;
	if (!d->group_key)
		d->group_key = d->account_key;
	d->sealed |= (uint8_t)(1u << i);
	d->leads[i] = d->group_key;
	d->sealed_at[i] = d->epoch;
	return true;
}

static bool order(struct state *s, unsigned i)
{
	if (!(s->now.sealed & 1u << i))
		return false;
	s->now.ordered |= (uint8_t)(1u << i);
	if (can_commit(s)) {
		commit(s);
		return true;
	}
	s->asked |= (uint8_t)(1u << i);
	if (mutant != NO_REMINDER_OF_ORDER)
		s->reminded |= (uint8_t)(1u << i);
	return true;
}

static bool add(struct state *s)
{
	if (s->now.mirror != NO_MIRROR || s->now.knows || s->medium_away)
		return false;
	if (can_commit(s) && mutant != ADD_WITHOUT_EPOCH) {
		s->now.mirror = IN_USE;
		commit(s);
	} else if (mutant != ADD_WITHOUT_EPOCH) {
		s->mirror_reminded = mutant != NO_REMINDER_OF_MIRROR;
		s->now.owed = s->now.epoch;
	}
	s->now.mirror = IN_USE;
	s->now.knows = 1;
	s->medium = s->root;
	return true;
}

static bool drop(struct state *s)
{
	if (s->now.mirror != IN_USE)
		return false;
	if (s->medium_away || s->medium == 0) { /* or what was dropped, by a database from before */
		s->now.mirror = GIVEN_UP;
		s->now.given_up_epoch = s->now.epoch;
		if (mutant == GIVE_UP_WITHOUT_EPOCH)
			s->now.given_up_epoch = 0;
		else
			commit_or_owe(s);
		return true;
	}
	if (mutant != NO_OVERWRITING)
		s->medium = 0;
	s->now.mirror = NO_MIRROR;
	commit_or_owe(s);
	return true;
}

static bool retry(struct state *s)
{
	if (!can_commit(s) || !(s->now.ordered || s->now.owed == s->now.epoch))
		return false;
	commit(s);
	return true;
}

static bool put_back(struct state *s)
{
	struct database *d = &s->now;

	if (s->saved.epoch != s->root) /* none, or refused */
		return false;
	*d = s->saved;
	d->ordered |= s->reminded & d->sealed;
	if (s->mirror_reminded && !d->knows) {
		d->mirror = IN_USE;
		d->knows = 1;
		d->owed = d->epoch;
	}
	s->asked &= d->sealed; /* what is lost with the newer database cannot be asked for */
	return true;
}

enum {
	SEAL,
	ORDER = SEAL + RECORDINGS,
	ADD = ORDER + RECORDINGS,
	DROP,
	RETRY,
	SAVE,
	PUT_BACK,
	MEDIUM,
	OTHER,
	CHOICES
};

static bool take_step(struct state *s, unsigned choice)
{
	if (choice < ORDER)
		return seal(s, choice - SEAL);
	if (choice < ADD)
		return order(s, choice - ORDER);
	switch (choice) {
	case ADD:
		return add(s);
	case DROP:
		return drop(s);
	case RETRY:
		return retry(s);
	case PUT_BACK:
		return put_back(s);
	case SAVE:
		s->saved = s->now;
		break;
	case MEDIUM:
		s->medium_away = !s->medium_away;
		/* Back in use: brought in line. */
		if (!s->medium_away && s->now.mirror == IN_USE && s->medium)
			s->medium = s->root;
		break;
	default:
		s->other_away = !s->other_away;
	}
	return true;
}

/* --- Properties --- */

/* Whoever has the medium, and every database, opens what is in this receipt. */
static bool holder_opens(const struct state *s, unsigned i)
{
	return s->medium >= s->leads[i] && s->medium < s->died_at[i] && s->medium;
}

static const char *broken(const struct state *s)
{
	if (s->medium && s->now.mirror == NO_MIRROR)
		return "a copy of the root is on no record";
	if (s->asked & s->now.sealed & ~s->now.ordered)
		return "an order is forgotten";
	for (unsigned i = 0; i < RECORDINGS; i++) {
		if (s->receipts & 1u << i && holder_opens(s, i) && s->sealed_at[i] > s->named[i])
			return "the holder of a mirror opens what a receipt covers";
	}
	return NULL;
}

/* --- The search --- */

static struct {
	struct state *states;
	uint32_t *table;
	size_t count, slots;
} seen;

static bool is_new(const struct state *s)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < sizeof(*s); i++)
		h = (h ^ ((const uint8_t *)s)[i]) * UINT64_C(1099511628211);
	size_t at = (size_t)(h ^ h >> 32) & (seen.slots - 1);
	while (seen.table[at] && memcmp(&seen.states[seen.table[at] - 1], s, sizeof(*s)) != 0)
		at = (at + 1) & (seen.slots - 1);
	if (seen.table[at])
		return false;
	assert_true(seen.count < seen.slots / 2);
	seen.states[seen.count++] = *s;
	seen.table[at] = (uint32_t)seen.count;
	return true;
}

static const char *search_all(void)
{
	struct state start = {.root = 1, .now = {.epoch = 1, .account_key = 1}};
	const char *what = NULL;

	seen.count = 0;
	seen.slots = (size_t)1 << 24;
	seen.table = calloc(seen.slots, sizeof(*seen.table));
	seen.states = calloc(seen.slots / 2, sizeof(*seen.states));
	assert_true(seen.table && seen.states);
	is_new(&start);
	for (size_t i = 0; i < seen.count && !what; i++) {
		for (unsigned choice = 0; choice < CHOICES && !what; choice++) {
			struct state next = seen.states[i];
			if (take_step(&next, choice) && is_new(&next))
				what = broken(&next);
		}
	}
	free(seen.states);
	free(seen.table);
	return what;
}

static void test_every_state(void **state)
{
	const char *what = search_all();

	print_message("%zu states\n", seen.count);
	if (what)
		fail_msg("%s", what);
	assert_true(seen.count > 100000);
}

/* Negative control. */
static void test_every_mutant_breaks_something(void **state)
{
	for (mutant = SOUND + 1; mutant < MUTANTS; mutant++) {
		const char *what = search_all();
		if (!what)
			fail_msg("\"%s\" is not caught", mutants[mutant]);
		print_message("%-27s after %zu states: %s\n", mutants[mutant], seen.count, what);
	}
	mutant = SOUND;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_every_state),
			cmocka_unit_test(test_every_mutant_breaks_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
