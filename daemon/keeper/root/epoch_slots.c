#include "daemon/keeper/root/epoch_slots.h"

#include "base/error.h"
#include "base/secret.h"

int epoch_slot_put(struct root *root, size_t i, unsigned slot, const struct root_record *record)
{
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);

	if (!image)
		return -RE_MLOCK;
	root_record_encode(record, image);
	return root_set_put(root->copies, i, slot, image);
}

int epoch_slot_get(struct root *root, size_t i, unsigned slot, struct root_record *ret_record)
{
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);

	if (!image)
		return -RE_MLOCK;
	int r = root_set_get(root->copies, i, slot, image);
	if (r < 0)
		return r;
	return root_record_decode(image, ret_record) == 0;
}

bool epoch_slot_there(const struct root *root, size_t i)
{
	return root->copies->member[i].provider;
}

bool epoch_slot_lose(struct root *root, size_t i, int r)
{
	if (root_set_present(root->copies) < 2)
		return false;
	root_set_lose(root->copies, i, root_set_reason(root->copies, i, r));
	return true;
}
