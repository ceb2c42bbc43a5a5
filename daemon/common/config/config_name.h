/* Names that the configuration gives: of spools, classes, profiles; and of root mirrors. */
#pragma once

#include <stdbool.h>

#define CONFIG_NAME_MAX 64 /* bytes */

/* Whether it is 1 to CONFIG_NAME_MAX of a-z, 0-9, _ and -. */
bool config_name_is_valid(const char *name);
