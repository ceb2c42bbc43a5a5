/* A vault with recordings of alice and bob, and its root in two places: the keeper's own, and a mirror
 * called usb in a folder of that name. */
#pragma once

#include "daemon/keeper/mirrors.h"
#include "vault_fixture.h"

#define SCENE_KEEPER_FILE "keeper/root.slots"
#define SCENE_MIRROR_FILE "usb/root.slots"
#define SCENE_DAY_US      (24 * 3600 * INT64_C(1000000))

struct mirror_scene {
	struct vault_fixture f;
	vault_fixture_id alice, bob;
	uint8_t old[ROOT_KEY_BYTES]; /* the root at the start */
};

void mirror_scene_open(struct mirror_scene *s);
void mirror_scene_close(struct mirror_scene *s);
/* Must succeed. */
void mirror_scene_reopen(struct mirror_scene *s);

/* The valid records in a root file: how many, and the last of them; -1 when there is no file. */
int mirror_scene_records(struct mirror_scene *s, const char *name, struct root_record *ret_record);
/* Whether the root from before is anywhere in the file, however damaged the rest. */
bool mirror_scene_holds_old(struct mirror_scene *s, const char *name);

/* An order about a mirror in this folder of the scene's, NULL for none; until the next one. */
struct mirror_order mirror_scene_order(
	struct mirror_scene *s, const char *name, const char *folder);
int mirror_scene_add(struct mirror_scene *s, const char *name, const char *folder, char *why);
int mirror_scene_drop(struct mirror_scene *s, const char *name, char *why);

int mirror_scene_erase(struct mirror_scene *s); /* alice */
void mirror_scene_assert_plays(struct mirror_scene *s, const char *id);
/* Alice is gone: at neither place is the root from before any more. */
void mirror_scene_assert_destroyed(struct mirror_scene *s);
