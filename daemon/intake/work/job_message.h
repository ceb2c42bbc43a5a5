/* The messages that a job sends, as JSON (daemon/common/wire/intake_wire.h). Each function returns
 * a new reference, or NULL when out of memory. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "daemon/common/wire/probe_wire.h"
#include "daemon/intake/work/order.h"

json_t *job_message_begin(uint32_t job, const struct job_order *order, uint64_t plain_bytes,
		const struct probe_result *probe);
json_t *job_message_simple(const char *op, uint32_t job); /* `commit`, `abort` */
json_t *job_message_unlinked(uint32_t job, int64_t exposure_us);
