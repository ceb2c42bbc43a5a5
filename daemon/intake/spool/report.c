#include "daemon/intake/spool/report.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/intake/spool/facts.h"

/* Of all spools together: a report that does not fit into one message would break the connection
 * each time it is sent. */
#define PATH_BYTES_ALL 32768

static json_t *report_text(const char *text)
{
	_cleanup_free_ char *safe = text_printable(text, strlen(text));

	return safe ? json_string(safe) : NULL;
}

/* The end of the path, when it is long. */
static json_t *report_path(const char *path, size_t room)
{
	_cleanup_free_ char *safe = text_printable(path, strlen(path));

	if (!safe || strlen(safe) <= room)
		return safe ? json_string(safe) : NULL;
	const char *tail = safe + strlen(safe) - room;
	while ((*tail & 0xc0) == 0x80) /* within a character */
		tail++;
	return json_sprintf("...%s", tail);
}

static json_t *report_one_spool(const struct spool *spool, size_t path_room)
{
	int64_t oldest_us;
	size_t waiting;

	queue_count(spool->queue, spool->index, &waiting, &oldest_us);
	json_t *o = json_pack("{s:s, s:o, s:I, s:I}", "name", spool->config->name, "path",
			report_path(spool->config->path, path_room), "waiting", (json_int_t)waiting,
			"refused", (json_int_t)spool->refusals.count);
	if (o && oldest_us > 0)
		json_object_set_new(o, "oldest_finished_us", json_integer(oldest_us));
	if (o && spool->stale.n > 0) {
		json_object_set_new(o, "stale", json_integer(spool->stale.n));
		json_object_set_new(
				o, "stale_since_us", json_integer(stale_oldest_us(&spool->stale)));
	}
	if (o && spool->free_percent >= 0) {
		json_object_set_new(o, "free_percent", json_real(spool->free_percent));
		json_object_set_new(o, "low_space", json_boolean(spool->mark.low));
	}
	if (o && spool->last_error[0])
		json_object_set_new(o, "last_error", report_text(spool->last_error));
	if (o)
		json_object_set_new(o, "facts", facts_build(spool));
	return o;
}

json_t *report_build(const struct spool *spools, size_t n_spools)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n_spools; i++) {
		if (json_array_append_new(list,
				    report_one_spool(&spools[i], PATH_BYTES_ALL / n_spools)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:s, s:o}", "op", "report", "spools", list);
}
