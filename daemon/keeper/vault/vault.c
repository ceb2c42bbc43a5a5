#include "daemon/keeper/vault/vault.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "daemon/keeper/keys/keytree.h"

int64_t vault_now_us(struct vault *vault)
{
	int64_t now_us = clock_now_us(&vault->clock);

	if (vault->latest_us - now_us > US_PER_DAY)
		vault_trouble(vault,
				"the clock is %" PRId64
				" days behind the newest recording here: recordings count "
				"their time from that one's",
				(vault->latest_us - now_us) / US_PER_DAY);
	if (now_us > vault->latest_us)
		vault->latest_us = now_us;
	return vault->latest_us;
}

uint64_t vault_epoch(const struct vault *vault)
{
	return keytree_epoch(vault->tree);
}

void vault_trouble(struct vault *vault, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(vault->last_error, sizeof(vault->last_error), format, ap);
	va_end(ap);
}
