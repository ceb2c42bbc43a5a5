/* Where a configuration comes from: files, an embedded default, the command line. What each call
 * adds is checked one by one here, the whole by config_check(). */
#pragma once

#include "base/reason.h"
#include "daemon/common/config/config.h"

/* Reads path (NULL: /etc/recseal/recseal.conf), then path.d/<any>.conf by name, where there is such
 * a folder. Each problem is one line of the reason: "FILE:LINE: what is wrong and what to do". 0,
 * -RE_CONFIG, -errno. */
int config_load(const char *path_or_null, struct reason *reason, struct config **ret_config);

/* The embedded default: everything below state_dir (made absolute): keeper/, objects/, run/. Spools
 * are added with config_load_spool(). A file may be given too, for classes and spools; the
 * directories it names are overridden. */
int config_load_embedded(const char *state_dir, const char *path_or_null, struct reason *reason,
		struct config **ret_config);

/* Adds a spool with default settings. "NAME=PATH", or "PATH" for the name "default"; a spec with a
 * slash before its first "=" is a path. A relative path starts at the working directory. 0,
 * -RE_CONFIG, -ENOMEM. */
int config_load_spool(struct config *config, const char *spec, struct reason *reason);
