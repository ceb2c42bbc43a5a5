/* A vault with recordings of alice, who is to be erased, and of others, who are not; and the check
 * of what must hold of it before and after, whatever happened in between. */
#pragma once

#include "crypto/key_seal.h"
#include "tests/unit/support/vault_fixture.h"

#define SCENE_ALICE      3 /* her recordings are the first */
#define SCENE_RECORDINGS 6

struct erasure_fixture {
	struct vault_fixture vault;
	vault_fixture_id id[SCENE_RECORDINGS];
	uint8_t key[SCENE_RECORDINGS][NODE_KEY_BYTES];
	uint8_t old_root[NODE_KEY_BYTES];
	uint64_t old_epoch;
};

void erasure_fixture_open(struct erasure_fixture *scene);
void erasure_fixture_close(struct erasure_fixture *scene);

/* erasure_run() on alice. */
int erasure_fixture_erase(struct erasure_fixture *scene);

/* Opens the vault again and checks everything: that all of alice lives at the old epoch, or that
 * all of her is destroyed at the next one and the old root is in no slot; that others are as they
 * were; that exactly one slot is valid, nothing is left under way, and the audit log holds. Returns
 * whether she is destroyed. */
bool erasure_fixture_recovers(struct erasure_fixture *scene);
/* The same without opening it again. */
bool erasure_fixture_holds(struct erasure_fixture *scene);

/* Whether a slot holds this root, however damaged the rest of it is. */
bool erasure_fixture_root_is_stored(
		struct erasure_fixture *scene, const uint8_t root[static NODE_KEY_BYTES]);
/* Valid slots, and the root and epoch of the last of them. */
unsigned erasure_fixture_slots(struct erasure_fixture *scene,
		uint8_t ret_root[static NODE_KEY_BYTES], uint64_t *ret_epoch);
