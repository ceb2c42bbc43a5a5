/* Everywhere the root is kept. Each member is a provider with slots of its own: member 0 is the
 * keeper's, the others are its mirrors, and any one of them opens the vault. Slot i of one is slot
 * i of all.
 *
 * A member that cannot be reached is away (no provider). An epoch commit needs all of them, for
 * each must overwrite its copy; opening the vault needs one. */
#pragma once

#include <stddef.h>

#include "base/reason.h"
#include "storage/root/root.h"

#define ROOT_MEMBERS_MAX    8
#define ROOT_NAME_BYTES     65
#define ROOT_LOCATION_BYTES 1025

struct root_member {
	int64_t id; /* in mirror_table.h; 0: the keeper's own */
	char name[ROOT_NAME_BYTES];
	char location[ROOT_LOCATION_BYTES]; /* for people: a directory, or a TPM's address */
	const char *assurance;              /* last known; static storage */
	int64_t away_us;                    /* since when it is away; 0: it is not */
	struct root_provider *provider;     /* NULL: away */
	struct reason why_away;             /* "" when it is not */
	struct reason why_failed;           /* its last operation; "" when it did not */
};

struct root_set {
	const char *assurance; /* the weakest of the members' */
	size_t n;
	struct root_member member[ROOT_MEMBERS_MAX];
};

/* NULL when out of memory. */
struct root_set *root_set_new(void);
/* Frees the providers too. Takes NULL; returns NULL. */
struct root_set *root_set_free(struct root_set *set);

/* Adds a member, and takes its provider. -ENOSPC when the set is full: the provider is then still
 * the caller's. */
int root_set_add(struct root_set *set, const struct root_member *member);
/* Takes a member out; its provider (or NULL) is the caller's. */
struct root_provider *root_set_take(struct root_set *set, size_t i);
/* Gives a member another provider. The former one stays the caller's. */
void root_set_exchange(struct root_set *set, size_t i, struct root_provider *provider);

/* The member is away from now on, or is back. regain takes the provider. */
void root_set_lose(struct root_set *set, size_t i, const char *why);
void root_set_regain(struct root_set *set, size_t i, struct root_provider *provider);

/* The first member that is away, or NULL. How many are not. */
const struct root_member *root_set_away(const struct root_set *set);
size_t root_set_present(const struct root_set *set);

/* One slot of a member that is present; images in secret memory. put reads back: 0 only when the
 * medium now holds the image. clear puts random bytes: a device may keep zeros without writing
 * them. */
int root_set_get(struct root_set *set, size_t i, unsigned slot,
		uint8_t ret_image[static ROOT_IMAGE_BYTES]);
int root_set_put(struct root_set *set, size_t i, unsigned slot,
		const uint8_t image[static ROOT_IMAGE_BYTES]);
int root_set_clear(struct root_set *set, size_t i, unsigned slot);

/* Why the member's last operation failed with r, in words. Valid until its next one. */
const char *root_set_reason(const struct root_set *set, size_t i, int r);
