/* A vault with recordings of alice and bob, and its root in two places: the keeper's own, and a
 * mirror called usb in a folder of that name. */
#pragma once

#include "daemon/keeper/erasure/mirror_change.h"
#include "tests/unit/support/vault_fixture.h"

#define SCENE_KEEPER_FILE "keeper/root.slots"
#define SCENE_MIRROR_FILE "usb/root.slots"
#define SCENE_EPOCH       2 /* the mirror has made one */
#define SCENE_DAY_US      (24 * 3600 * INT64_C(1000000))

struct mirror_fixture {
	struct vault_fixture f;
	vault_fixture_id alice, bob;
	uint8_t old[ROOT_KEY_BYTES]; /* the root at the start */
};

void mirror_fixture_open(struct mirror_fixture *s);
void mirror_fixture_close(struct mirror_fixture *s);
/* Must succeed. */
void mirror_fixture_reopen(struct mirror_fixture *s);

/* The valid records in a root file: how many, and the last of them; -1 when there is no file. */
int mirror_fixture_records(
		struct mirror_fixture *s, const char *name, struct root_record *ret_record);
/* Whether the root from before is anywhere in the file, however damaged the rest. */
bool mirror_fixture_holds_old(struct mirror_fixture *s, const char *name);

/* An order about a mirror in this folder of the scene's, NULL for none; until the next one. */
struct mirror_order mirror_fixture_order(
		struct mirror_fixture *s, const char *name, const char *folder);
int mirror_fixture_add(struct mirror_fixture *s, const char *name, const char *folder,
		struct reason *reason);
int mirror_fixture_drop(struct mirror_fixture *s, const char *name, struct reason *reason);

int mirror_fixture_erase(struct mirror_fixture *s); /* alice */
void mirror_fixture_assert_plays(struct mirror_fixture *s, const char *id);
/* Alice is gone: at neither place is the root from before any more. */
void mirror_fixture_assert_destroyed(struct mirror_fixture *s);
