/* Bash completion of recsealctl, made from the tables of commands and options. */
#pragma once

#include <stdio.h>

/* Prints shell functions that answer what cli/recsealctl.bash-completion asks: which words and
 * options a command takes, and what an option's argument may be. */
void completion_print(FILE *f);
