#include "daemon/intake/work/job_message.h"

#include <limits.h>
#include <string.h>

#include "daemon/common/wire/intake_wire.h"
#include "daemon/intake/source/aside.h"

/* Facts that the probe did not find are left out, not sent as zero. */
static json_t *probe_result_json(const struct probe_result *probe)
{
	json_t *o = json_pack("{s:s}", "condition", probe_wire_condition_name(probe->condition));
	int r = 0;

	if (!o)
		return NULL;
	if (probe->damage[0])
		r |= json_object_set_new(o, "damage", json_string(probe->damage));
	if (probe->recoverable_bytes)
		r |= json_object_set_new(o, "recoverable_bytes",
				json_integer((json_int_t)probe->recoverable_bytes));
	if (probe->format[0])
		r |= json_object_set_new(o, "format", json_string(probe->format));
	if (probe->channels)
		r |= json_object_set_new(o, "channels", json_integer(probe->channels));
	if (probe->sample_rate)
		r |= json_object_set_new(o, "sample_rate", json_integer(probe->sample_rate));
	if (probe->frames <= INTAKE_FRAMES_MAX)
		r |= json_object_set_new(o, "frames", json_integer((json_int_t)probe->frames));
	if (r < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *bundle_account_json(const struct bundle *bundle)
{
	return bundle && bundle->account
			       ? intake_wire_base64(bundle->account, strlen(bundle->account))
			       : json_null();
}

static json_t *bundle_sidecars_json(const struct bundle *bundle)
{
	json_t *list = json_array();

	for (size_t i = 0; bundle && i < bundle->n_sidecars; i++) {
		const struct sidecar *s = &bundle->sidecar[i];
		json_t *o = json_pack("{s:o, s:o}", "path",
				intake_wire_base64(s->path, strlen(s->path)), "bytes",
				intake_wire_base64(s->bytes, s->len));
		if (json_array_append_new(list, o) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *job_message_begin(uint32_t job, const struct job_order *order, uint64_t plain_bytes,
		const struct probe_result *probe)
{
	char buf[PATH_MAX];
	/* The catalog gets the name the recording had, also when a crash has left it aside. */
	const char *path = aside_path(order->candidate->path, buf);

	return json_pack("{s:s, s:I, s:s, s:o, s:o, s:s, s:o, s:b, s:I, s:I, s:I, s:o, s:o, s:b}",
			"op", "begin", "job", (json_int_t)job, "spool", order->spool, "account",
			bundle_account_json(order->bundle), "path",
			intake_wire_base64(path, strlen(path)), "class", order->class, "source",
			intake_wire_base64(order->hash, sizeof(order->hash)), "firm", order->firm,
			"recorded_us", (json_int_t)order->recorded_us, "finished_us",
			(json_int_t)order->finished_us, "plain_bytes", (json_int_t)plain_bytes,
			"probe", probe_result_json(probe), "sidecars",
			bundle_sidecars_json(order->bundle), "discarded",
			order->bundle && order->bundle->discarded);
}

json_t *job_message_simple(const char *op, uint32_t job)
{
	return json_pack("{s:s, s:I}", "op", op, "job", (json_int_t)job);
}

json_t *job_message_unlinked(uint32_t job, int64_t exposure_us)
{
	return json_pack("{s:s, s:I, s:I}", "op", "unlinked", "job", (json_int_t)job, "exposure_us",
			(json_int_t)exposure_us);
}
