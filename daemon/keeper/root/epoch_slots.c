#include "daemon/keeper/root/epoch_slots.h"

#include "base/error.h"
#include "base/secret.h"

int epoch_slot_put(struct vault *vault, size_t i, unsigned slot, const struct root_record *record)
{
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);

	if (!image)
		return -RE_MLOCK;
	root_record_encode(record, image);
	return root_set_put(vault->root, i, slot, image);
}

int epoch_slot_get(struct vault *vault, size_t i, unsigned slot, struct root_record *ret_record)
{
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);

	if (!image)
		return -RE_MLOCK;
	int r = root_set_get(vault->root, i, slot, image);
	if (r < 0)
		return r;
	return root_record_decode(image, ret_record) == 0;
}

bool epoch_slot_there(const struct vault *vault, size_t i)
{
	return vault->root->member[i].provider;
}

bool epoch_slot_lose(struct vault *vault, size_t i, int r)
{
	if (root_set_present(vault->root) < 2)
		return false;
	root_set_lose(vault->root, i, root_set_reason(vault->root, i, r));
	return true;
}
