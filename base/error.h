/* The error convention of the whole tree.
 *
 * A function that can fail returns int: 0 is done; a negative value is -errno or -RE_*, forwarded
 * unchanged; a positive value is a documented outcome that the caller must handle. ret_ parameters
 * come last and are untouched on failure. Library code never logs. */
#pragma once

enum {
	RE_FIRST = 4096,       /* above every errno */
	RE_CORRUPT = RE_FIRST, /* stored bytes are not what was written */
	RE_HEADER,             /* age header malformed */
	RE_HEADER_MAC,         /* age header MAC does not verify */
	RE_PAYLOAD,            /* age payload damaged, truncated or extended */
	RE_NO_MATCH,           /* no stanza for this key, or it does not open */
	RE_EPOCH,              /* root slot and database are of different epochs */
	RE_MOVED,              /* root slot file is a copy: not where it was written */
	RE_NO_ROOT,            /* no readable root slot */
	RE_GONE,               /* the key was destroyed */
	RE_REFUSED,            /* policy forbids it */
	RE_BUSY,               /* somebody else holds the state */
	RE_PROTOCOL,           /* the peer sent nonsense */
	RE_CONFIG,             /* configuration invalid */
	RE_NOT_ERASED,         /* a destroyed key could still be opened: an alarm */
	RE_MLOCK,              /* secret memory could not be locked */
	RE_AWAY,               /* a mirror of the root cannot be reached */
	RE_UNKNOWN,            /* a commit failed in a way that only a restart can judge */
	RE_ALTERED,            /* stored rows were not written by a keeper that held the root */
	RE_LAST,
};

/* A short English phrase for -errno or -RE_* (the sign does not matter). Static storage. */
const char *error_text(int r);
