/* What on this machine could keep keys that are to be forgotten, as far as it can be told: swap,
 * hibernation, crash dumps, filesystems and volumes that never write in place. And whether the root
 * is kept well enough for this vault (RequireAssurance=).
 *
 * Warnings do not stop the keeper: an operator may know better, and recordings must go on. */
#pragma once

#include "daemon/keeper/root/root.h"

/* Calls warn for each finding, with a sentence on what it is, ". ", and what to do. host is where
 * the machine's /proc and /sys are: "" (tests: a folder). Cheap: reads some small files. */
typedef void (*preflight_warn)(void *context, const char *sentence);
void preflight_check(const char *keeper_dir, const char *host, preflight_warn warn, void *context);

/* 0, or -RE_REFUSED with a reason when the root's assurance is below RequireAssurance=. */
int preflight_assurance(const struct root *root, struct reason *reason);
