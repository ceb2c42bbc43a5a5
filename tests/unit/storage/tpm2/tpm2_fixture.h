/* A folder with root slots in a software TPM, behind a tap. */
#pragma once

#include "tests/unit/support/folder_fixture.h"

#include <errno.h>
#include <sodium.h>

#include "base/error.h"
#include "storage/tpm2/root_tpm2.h"
#include "storage/tpm2/root_tpm2_locator.h"
#include "tests/unit/support/swtpm.h"

static bool available; /* a TPM to test with */

struct erasure_fixture {
	struct folder *folder;
	struct swtpm tpm;
	struct swtpm_tap tap;
	struct root_provider *root;
	struct reason reason; /* of the last operation */
};

/* Shuts the provider and opens or makes it again; s->reason says why not. */
static inline int reopen(
		struct erasure_fixture *s, const char *tcti, uint32_t timeout_ms, bool create)
{
	struct root_tpm2_options options = {.tcti = tcti, .timeout_ms = timeout_ms};

	s->root = root_provider_free(s->root);
	reason_clear(&s->reason);
	options.reason = &s->reason;
	int r = create ? root_tpm2_create(s->folder->fd, &options, &s->root)
		       : root_tpm2_open(s->folder->fd, &options, &s->root);
	assert_true(r == 0 ? s->reason.text[0] == '\0' : strlen(s->reason.text) > 20);
	assert_true((r == 0) == (s->root != NULL));
	return r;
}

static inline int removed(struct erasure_fixture *s, const char *tcti)
{
	struct root_tpm2_options options = {.tcti = tcti};

	s->root = root_provider_free(s->root);
	reason_clear(&s->reason);
	options.reason = &s->reason;
	int r = root_tpm2_remove(s->folder->fd, &options);
	return r;
}

static inline void open_scene(void **state, struct erasure_fixture *s)
{
	if (!available)
		skip();
	*s = (struct erasure_fixture){.folder = *state};
	swtpm_open(&s->tpm);
	swtpm_tap_open(&s->tap, &s->tpm);
	assert_int_equal(reopen(s, s->tap.tcti, 0, true), 0);
}

static inline void close_scene(struct erasure_fixture *s)
{
	root_provider_free(s->root);
	swtpm_tap_close(&s->tap);
	swtpm_close(&s->tpm);
}

static inline int put(struct erasure_fixture *s, unsigned slot, const uint8_t *image)
{
	reason_clear(&s->reason);
	return s->root->ops->write(s->root, slot, image, &s->reason);
}

static inline int get(struct erasure_fixture *s, unsigned slot, uint8_t *ret_image)
{
	reason_clear(&s->reason);
	return s->root->ops->read(s->root, slot, &s->reason, ret_image);
}

static inline void assert_slot(struct erasure_fixture *s, unsigned slot, const uint8_t *expected)
{
	uint8_t image[ROOT_IMAGE_BYTES];

	assert_int_equal(get(s, slot, image), 0);
	assert_memory_equal(image, expected, sizeof(image));
}

static inline void random_image(uint8_t image[static ROOT_IMAGE_BYTES])
{
	randombytes_buf(image, ROOT_IMAGE_BYTES);
}

static const uint8_t zeros[ROOT_IMAGE_BYTES];

static inline int start(void **state)
{
	struct root_tpm2_options options = {.reason = NULL};
	struct root_provider *root;

	if (sodium_init() < 0)
		return 1;
	available = root_tpm2_open(-1, &options, &root) != -EOPNOTSUPP && swtpm_available();
	return 0;
}
