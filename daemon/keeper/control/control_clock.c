/* ConfirmClock, and what is said about the clock. */
#include <errno.h>
#include <inttypes.h>
#include <syslog.h>

#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/view.h"

static const char *clock_state_name(enum vault_clock_state state)
{
	switch (state) {
	case VAULT_CLOCK_SYNCHRONISED:
		return "synchronised";
	case VAULT_CLOCK_COUNTING:
		return "counting";
	case VAULT_CLOCK_CLOSE:
		return "close";
	case VAULT_CLOCK_AHEAD:
		return "ahead";
	case VAULT_CLOCK_BEHIND:
		break;
	}
	return "behind";
}

json_t *control_clock_status(const struct vault *vault)
{
	const struct vault_clock *clock = &vault->clock;
	char text[VAULT_CLOCK_TEXT_BYTES];
	const char *advice;
	int64_t ahead_us;
	enum vault_clock_state state = vault_clock_state(clock, &ahead_us);

	vault_clock_describe(clock, text, &advice);
	return json_pack("{s:s, s:o, s:o, s:b, s:s}", "state", clock_state_name(state),
			"machine_at", view_time(clock_now_us(&clock->machine.wall)), "counted_at",
			view_time(vault_clock_counted_us(clock)), "known", clock->row.known,
			"sentence", text);
}

void control_clock_warn(const struct vault *vault, json_t *warnings)
{
	char text[VAULT_CLOCK_TEXT_BYTES];
	const char *advice;

	if (!vault_clock_describe(&vault->clock, text, &advice))
		json_array_append_new(warnings, json_sprintf("%s. To do: %s", text, advice));
}

int control_clock_confirm(struct control_call *call)
{
	struct vault *vault = call->vault;
	const struct audit_actor actor = {call->uid, control_text(call, "reason")};
	int64_t retimed = 0;
	int r = vault_clock_confirm(
			&vault->clock, &vault->root.audit, &actor, vault_epoch(vault), &retimed);

	if (r == -ERANGE)
		return control_answer_refused(call,
				"the machine's clock says a time before 2026 or after 2199: "
				"set it first");
	if (r < 0)
		return r;
	notices_tell(&vault->notices, LOG_NOTICE, EVENT_CLOCK, NULL,
			"the clock is confirmed by order of uid %u; the times of %" PRId64
			" recording(s) are put right",
			(unsigned)call->uid, retimed);
	return control_answer_reply(call,
			json_pack("{s:o, s:I}", "clock", control_clock_status(vault), "retimed",
					(json_int_t)retimed),
			NULL);
}
