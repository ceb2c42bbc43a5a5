/* Assertions about text; after cmocka.h. */
#pragma once

#include <string.h>

static inline void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("%s\n  is not in\n%s", part, text);
}

static inline void assert_lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("%s\n  is in\n%s", part, text);
}
