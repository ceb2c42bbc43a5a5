/* Doctor: what to set up better here. */
#include "daemon/common/config/config.h"
#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/doctor.h"

/* Without its group nobody but root and the keeper's own user has a role. */
static void doctor_check_groups(json_t *checks, const struct control *control)
{
	for (size_t i = 0; i < CONTROL_ROLES; i++) {
		const struct control_group *group = &control->groups[i];
		if (group->exists)
			doctor_fine(checks, "keeper", "roles", "group %s is there", group->name);
		else
			doctor_change(checks, "keeper", "roles",
					"make it (systemd-sysusers), or name another in the "
					"configuration, and restart recseal-keeper",
					"group %s does not exist: only root has its role",
					group->name);
	}
}

int control_doctor(struct control_call *call)
{
	const struct control *control = call->control;
	bool connected = control->intake && intake_server_connected(control->intake);
	json_t *none = json_array();
	json_t *spools = connected ? intake_server_spools(control->intake) : NULL;
	json_t *checks = json_array();

	doctor_keeper(checks, call->vault, "");
	/* Below a --state directory everything belongs to one user. */
	if (!call->vault->config->embedded)
		doctor_check_groups(checks, control);
	doctor_spools(checks, call->vault, connected && !spools ? none : spools);
	json_decref(none);
	return control_answer_reply(call, json_pack("{s:o}", "checks", checks), NULL);
}
