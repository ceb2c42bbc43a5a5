#include "storage/root/root_pair.h"

#include <stdlib.h>

struct root_pair {
	struct root_provider base;
	struct root_provider *provider[ROOT_SLOTS];
	unsigned slot[ROOT_SLOTS];
};

static struct root_pair *pair_of(struct root_provider *provider)
{
	return (struct root_pair *)provider;
}

static int pair_read(struct root_provider *provider, unsigned slot, struct reason *reason,
		uint8_t ret_image[static ROOT_IMAGE_BYTES])
{
	struct root_pair *pair = pair_of(provider);
	struct root_provider *one = pair->provider[slot];

	return one->ops->read(one, pair->slot[slot], reason, ret_image);
}

static int pair_write(struct root_provider *provider, unsigned slot,
		const uint8_t image[static ROOT_IMAGE_BYTES], struct reason *reason)
{
	struct root_pair *pair = pair_of(provider);
	struct root_provider *one = pair->provider[slot];

	return one->ops->write(one, pair->slot[slot], image, reason);
}

static void pair_free(struct root_provider *provider)
{
	struct root_pair *pair = pair_of(provider);

	for (unsigned i = 0; i < ROOT_SLOTS; i++)
		root_provider_free(pair->provider[i]);
	free(pair);
}

static const struct root_provider_ops pair_ops = {
		.read = pair_read, .write = pair_write, .free = pair_free};

struct root_provider *root_pair_new(struct root_provider *const provider[static ROOT_SLOTS],
		const unsigned slot[static ROOT_SLOTS])
{
	struct root_pair *pair = calloc(1, sizeof(*pair));

	if (!pair)
		return NULL;
	pair->base.ops = &pair_ops;
	for (unsigned i = 0; i < ROOT_SLOTS; i++) {
		const char *assurance = provider[i]->assurance;
		if (i == 0 || root_assurance_rank(assurance) <
						root_assurance_rank(pair->base.assurance))
			pair->base.assurance = assurance;
		pair->provider[i] = provider[i];
		pair->slot[i] = slot[i];
	}
	return &pair->base;
}

bool root_pair_is(const struct root_provider *provider)
{
	return provider->ops == &pair_ops;
}

void root_pair_part(struct root_provider *provider, unsigned keep, struct root_provider **ret_kept,
		unsigned *ret_slot, struct root_provider **ret_other)
{
	struct root_pair *pair = pair_of(provider);

	*ret_kept = pair->provider[keep];
	*ret_slot = pair->slot[keep];
	*ret_other = pair->provider[1 - keep];
	free(pair);
}
