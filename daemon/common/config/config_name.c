#include "daemon/common/config/config_name.h"

#include <stddef.h>
#include <string.h>

bool config_name_is_valid(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return n > 0 && n <= CONFIG_NAME_MAX && name[n] == '\0';
}
