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

static json_t *report_name(const struct config_spool *config, size_t n_spools)
{
	return json_pack("{s:s, s:o}", "name", config->name, "path",
			report_path(config->path, PATH_BYTES_ALL / n_spools));
}

json_t *report_unknown(const struct config_spool *config, size_t n_spools)
{
	json_t *o = report_name(config, n_spools);

	if (o) {
		json_object_set_new(o, "waiting", json_integer(0));
		json_object_set_new(o, "refused", json_integer(0));
	}
	return o;
}

json_t *report_spool(const struct spool *spool, size_t n_spools)
{
	int64_t oldest_us;
	size_t waiting;
	json_t *o = report_name(spool->config, n_spools);

	if (!o)
		return NULL;
	queue_count(spool->queue, spool->index, &waiting, &oldest_us);
	json_object_set_new(o, "waiting", json_integer((json_int_t)waiting));
	json_object_set_new(o, "refused", json_integer(spool->refusals.count));
	if (oldest_us > 0)
		json_object_set_new(o, "oldest_finished_us", json_integer(oldest_us));
	if (spool->stale.n > 0) {
		json_object_set_new(o, "stale", json_integer(spool->stale.n));
		json_object_set_new(
				o, "stale_since_us", json_integer(stale_oldest_us(&spool->stale)));
	}
	if (spool->ignored.n > 0) {
		json_object_set_new(o, "ignored", json_integer(spool->ignored.n));
		json_object_set_new(o, "ignored_since_us",
				json_integer(stale_oldest_us(&spool->ignored)));
	}
	if (spool->prompts > 0)
		json_object_set_new(o, "prompts", json_integer(spool->prompts));
	if (spool->free_percent >= 0) {
		json_object_set_new(o, "free_percent", json_real(spool->free_percent));
		json_object_set_new(o, "low_space", json_boolean(spool->mark.low));
	}
	if (spool_first_is_held(spool))
		json_object_set_new(o, "held",
				json_pack("{s:I, s:I, s:I}", "files",
						(json_int_t)spool->first.found.files, "recordings",
						(json_int_t)spool->first.found.recordings, "bytes",
						(json_int_t)spool->first.found.bytes));
	if (spool->last_error[0])
		json_object_set_new(o, "last_error", report_text(spool->last_error));
	json_object_set_new(o, "facts", facts_build(spool));
	return o;
}

json_t *report_message(json_t *spools)
{
	return spools ? json_pack("{s:s, s:o}", "op", "report", "spools", spools) : NULL;
}
