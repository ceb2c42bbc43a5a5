/* A vault through a random history, and what must be true of it after every step: told from the
 * keys, from the bytes on the media, and by counting again what is counted. */
#pragma once

#include "crypto/key_seal.h"
#include "daemon/keeper/keys/key_path.h"
#include "tests/unit/support/mirror_fixture.h"

#define RECORDINGS 400
#define ROOTS      400
#define PATHS      2

struct known {
	vault_fixture_id id;
	uint8_t key[NODE_KEY_BYTES];
	struct key_path path[PATHS]; /* all places its key was in */
	size_t paths;
	bool doomed, dead; /* ordered to go, and said to be gone */
};

struct seen_root {
	uint64_t epoch;
	uint8_t key[ROOT_KEY_BYTES];
};

struct history {
	struct vault_fixture f;
	struct known known[RECORDINGS];
	size_t n;
	struct seen_root root[ROOTS];
	size_t roots;
	uint64_t dead_epoch; /* the last that made a recording's end final */
	unsigned seed, step;
	bool faulty;       /* since it was opened: the medium */
	const char *away;  /* the command that brings it back; NULL: none is away */
	const char *wrong; /* the first thing that is not true */
};

/* Something is not true: the first is kept. */
void history_wrong(struct history *h, const char *what);
/* After a step; whoever made it has said whom it doomed. */
void history_check(struct history *h);
/* The first column of the first row. */
int64_t history_ask(struct history *h, const char *query);
