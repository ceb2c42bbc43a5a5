/* A random but reproducible history of a real vault, with an adversary who looks at it all the
 * time, and a record of what there was to find: every key of every node, everything sealed under
 * recordings' keys, every root. */
#pragma once

#include "crypto/rec_stanza.h"
#include "daemon/keeper/keys/key_path.h"
#include "tests/unit/keeper/adversary.h"
#include "tests/unit/support/vault_fixture.h"

#define HISTORY_NAMES      5
#define HISTORY_EPOCHS     28
#define HISTORY_KEYS       1024
#define HISTORY_RECORDINGS 192

/* A value that a node's key had; gone from this epoch on (0: present). */
struct history_key {
	struct key_path path;
	uint8_t key[NODE_KEY_BYTES];
	uint64_t gone;
};

/* What was sealed under a recording's key, as it was in database and object. */
struct history_recording {
	vault_fixture_id id;
	struct key_path path;
	int64_t row;
	size_t name;
	uint8_t *private;
	size_t private_bytes;
	struct rec_stanza stanza;
	struct rec_binding binding;
	uint64_t gone;
	bool private_opens, file_key_opens;
};

struct history {
	struct vault_fixture vault;
	struct adversary adversary;
	char keeper_dir[96];
	uint64_t random, epoch;
	/* Of an account's name: a new one after its deletion. The last is of recordings of none. */
	unsigned generation[HISTORY_NAMES + 1];
	uint8_t root[HISTORY_EPOCHS + 1][NODE_KEY_BYTES];
	struct history_key known[HISTORY_KEYS];
	size_t known_count;
	struct history_recording sealed[HISTORY_RECORDINGS];
	size_t sealed_count, keys_tried, refused, assigned;
	bool refuse; /* the next write to a slot */
};

/* A new vault; freed by history_close(). */
struct history *history_open(uint64_t seed);
void history_close(struct history *history);

/* A seal, a shred, a move out of quarantine, an expiry or a new start, at random; the epoch grows
 * by at most one. */
void history_operate(struct history *history);

/* After any change: takes note of the root, of keys that changed or went, and lets the adversary
 * look. Checks that no older root is left in the slots. */
void history_note(struct history *history);
/* Takes note of a recording that was just sealed, and of all keys above it. */
void history_note_recording(struct history *history, const vault_fixture_id id, size_t name);
