/* Where recseal-probe is, unless the configuration says so. */
#pragma once

#include <limits.h>

/* The path of the program: beside this daemon, where a build folder has it, else where it is
 * installed. Lies in buf, or is a constant. */
const char *probe_program_find(char buf[static PATH_MAX]);
