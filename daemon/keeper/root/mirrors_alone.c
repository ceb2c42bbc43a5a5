/* The main copy of the root when there is no mirror: the keeper goes on with it as long as it is
 * open, and destroys nothing while it is not where it belongs. */
#include <errno.h>
#include <syslog.h>

#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/root/mirrors.h"

/* By its path, and by a real read: a TPM has no path, and a disk may not answer. */
static int alone_check(struct root *root, bool read, struct reason *reason)
{
	int r = mirrors_check_there(root, MIRROR_OF_OWN, reason);

	if (r < 0 || !read)
		return r;
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);
	if (!image)
		return -RE_MLOCK;
	r = mirrors_image(root, image);
	return r < 0 ? reason_set(reason, -EIO, "it cannot be read: %s",
				       root_set_reason(root->copies, MIRROR_OF_OWN, r))
		     : 0;
}

/* Told once, until it is well again. */
void mirrors_alone_tell(struct root *root, const struct reason *why)
{
	struct root_member *own = &root->copies->member[MIRROR_OF_OWN];
	bool was_well = !*own->why_away.text;

	own->why_away = *why;
	if (was_well)
		notices_tell(root->notices, LOG_ERR, EVENT_KEY_TROUBLE, NULL,
				"the root (%s): %s; nothing is erased until that is put right",
				own->location, own->why_away.text);
}

/* Without mirrors the open file is the last copy of the root, even when its name was removed. */
int mirrors_alone_ready(struct root *root, bool read, struct reason *reason)
{
	struct root_member *own = &root->copies->member[MIRROR_OF_OWN];
	struct reason why = {""};
	int r = alone_check(root, read, &why);

	if (r == 0 && read)
		reason_clear(&own->why_away);
	if (r == 0)
		return 0;
	if (!*why.text)
		reason_set(&why, 0, "%s", error_text(r));
	mirrors_alone_tell(root, &why);
	if (r == -EIO)
		return reason_set(reason, -RE_AWAY, "erasures wait for the root: %s", why.text);
	return reason_set(reason, -RE_AWAY,
			"erasures wait for the root file: %s. Do not stop the keeper, which has it "
			"open: put the file back, or add a mirror first (recsealctl root add)",
			why.text);
}
