/* The two state machines of the age plugin protocol (C2SP age-plugin), the plugin's side.
 *
 * identity-v1: the client names identities and the stanzas of one file or several; the plugin
 * answers with file keys or errors. Only the identity without data exists (`age -d -j recseal`):
 * the keys are the keeper's to give. */
#pragma once

#include <stdint.h>

#include "base/reason.h"
#include "cli/plugin_stanza.h"
#include "crypto/rec_stanza.h"

#define PLUGIN_IDENTITY "AGE-PLUGIN-RECSEAL-1SFRDK5"

struct plugin_unwrap {
	/* Asks for the file key of a rec stanza (args without the type). 0; PLUGIN_UNWRAP_DENIED
	 * when the keeper does not give this recording's key; PLUGIN_UNWRAP_FAILED when it cannot
	 * be asked for any key; both fill in the reason. -errno. */
	int (*unwrap)(void *context, const struct age_stanza *rec,
			const uint8_t tag_hash[static TAG_HASH_BYTES],
			uint8_t ret_file_key[static AGE_FILE_KEY_BYTES], struct reason *reason);
	void *context;
};
enum {
	PLUGIN_UNWRAP_DENIED = 1,
	PLUGIN_UNWRAP_FAILED = 2,
};

/* Runs identity-v1 to its end. 0, also when the client closed the connection after an error;
 * -ECONNRESET; -RE_PROTOCOL; -ENOMEM; -errno. */
int plugin_identity_run(struct plugin_stream *stream, const struct plugin_unwrap *unwrap);

/* Runs recipient-v1, whose only answer is that nothing can be encrypted to recseal. */
int plugin_identity_refuse_recipient(struct plugin_stream *stream);
