/* What the clock guard is doing, for people. */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/keeper/vault/vault_clock.h"

#define AGREES_US (60 * US_PER_S)
/* What expires late by less than this is in time. */
#define CLOSE_US   (US_PER_DAY / 2)
#define SPAN_BYTES 32

enum vault_clock_state vault_clock_state(const struct vault_clock *clock, int64_t *ret_ahead_us)
{
	int64_t ahead_us = clock_now_us(&clock->machine.wall) - vault_clock_counted_us(clock);
	int64_t limit_us = clock->row.known ? AGREES_US : CLOSE_US;

	*ret_ahead_us = ahead_us;
	if (clock->synchronised && clock->row.known)
		return VAULT_CLOCK_SYNCHRONISED;
	if (ahead_us > limit_us)
		return VAULT_CLOCK_AHEAD;
	if (ahead_us < -AGREES_US)
		return VAULT_CLOCK_BEHIND;
	return clock->row.known ? VAULT_CLOCK_COUNTING : VAULT_CLOCK_CLOSE;
}

static void describe_span(int64_t us, char ret_text[static SPAN_BYTES])
{
	if (us >= 2 * US_PER_DAY)
		snprintf(ret_text, SPAN_BYTES, "%" PRId64 " days",
				(us + US_PER_DAY / 2) / US_PER_DAY);
	else if (us >= 2 * 3600 * US_PER_S)
		snprintf(ret_text, SPAN_BYTES, "%" PRId64 " hours",
				(us + 1800 * US_PER_S) / (3600 * US_PER_S));
	else
		snprintf(ret_text, SPAN_BYTES, "%" PRId64 " s", us / US_PER_S);
}

static void describe_apart(const struct vault_clock *clock, bool ahead, const char *span,
		char ret_text[static VAULT_CLOCK_TEXT_BYTES])
{
	char wall[RFC3339_BYTES], counted[RFC3339_BYTES];
	const char *because = clock->row.known ? "was set since the time was last known"
					       : "is not known to be synchronised";
	const char *so = ahead ? "what expires in between is kept until the time is known"
			       : "the vault goes on counting, and nothing expires early";

	clock_format_rfc3339(clock_now_us(&clock->machine.wall), wall);
	clock_format_rfc3339(vault_clock_counted_us(clock), counted);
	snprintf(ret_text, VAULT_CLOCK_TEXT_BYTES,
			"the machine's clock (%s) is %s %s what this vault has counted (%s), "
			"and %s: %s",
			wall, span, ahead ? "ahead of" : "behind", counted, because, so);
}

bool vault_clock_describe(const struct vault_clock *clock,
		char ret_text[static VAULT_CLOCK_TEXT_BYTES], const char **ret_advice)
{
	static const char advice[] =
			"have the clock synchronised (systemd-timesyncd, chrony); or, if it "
			"is right now, an "
			"officer confirms it: recsealctl clock confirm";
	char span[SPAN_BYTES];
	int64_t ahead_us;
	enum vault_clock_state state = vault_clock_state(clock, &ahead_us);

	describe_span(ahead_us < 0 ? -ahead_us : ahead_us, span);
	*ret_advice = state == VAULT_CLOCK_AHEAD || state == VAULT_CLOCK_BEHIND ? advice : NULL;
	switch (state) {
	case VAULT_CLOCK_SYNCHRONISED:
		snprintf(ret_text, VAULT_CLOCK_TEXT_BYTES, "synchronised");
		break;
	case VAULT_CLOCK_COUNTING:
		snprintf(ret_text, VAULT_CLOCK_TEXT_BYTES,
				"not synchronised now; counted on since it was known, and "
				"the machine's clock "
				"agrees");
		break;
	case VAULT_CLOCK_CLOSE:
		snprintf(ret_text, VAULT_CLOCK_TEXT_BYTES,
				"not known to be synchronised; %s from the time that this "
				"vault has counted. "
				"What expires may be erased that much later, never earlier%s",
				span,
				clock->row.ever_known
						? ""
						: ". Nobody ever confirmed it (recsealctl clock "
						  "confirm)");
		break;
	case VAULT_CLOCK_AHEAD:
	case VAULT_CLOCK_BEHIND:
		describe_apart(clock, state == VAULT_CLOCK_AHEAD, span, ret_text);
		break;
	}
	return *ret_advice == NULL;
}
