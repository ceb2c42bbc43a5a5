#include "daemon/keeper/vault/expiry.h"

#include "base/clock.h"

int64_t expiry_bucket(int64_t expires_us, int64_t keep_us)
{
	int64_t width_us = keep_us >= 30 * US_PER_DAY ? US_PER_DAY
			   : keep_us >= US_PER_DAY    ? 3600 * US_PER_S
						      : US_PER_S;

	return expires_us / width_us;
}
