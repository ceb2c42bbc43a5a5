/* Recordings of one account that expire within one bucket of time share an expiry group, so that a
 * day of recordings costs one batch. */
#pragma once

#include <stdint.h>

/* Which bucket an expiry falls into: days for classes kept 30 days or more, hours for a day or
 * more, seconds below. */
int64_t expiry_bucket(int64_t expires_us, int64_t keep_us);
