/* What recsealctl --help prints, made from the tables of commands and options. */
#pragma once

#include <stdio.h>

#include "cli/command.h"

/* The whole: every command with its summary. */
void help_overview(FILE *f);

/* One command. */
void help_command(const struct command *command, FILE *f);

/* "  recsealctl account show ACCOUNT [--json]": a line for each command of a group. */
void help_group(const char *group, FILE *f);
