/* The wire between intake and keeper: a SOCK_SEQPACKET socket, one JSON object a datagram (at most
 * INTAKE_MESSAGE_MAX bytes), descriptors beside it. Both ends treat every byte from the other as
 * hostile.
 *
 * intake -> keeper
 *   {"op":"hello","version":4}
 *   {"op":"spool","spool":S,"folder":base64 (32 bytes),"first":"wait|take",
 *    "empty":bool?,"files":N?,"recordings":N?,"bytes":N?}
 *        May the intake take from this spool? Asked when it has opened the spool's folder, after
 *        each scan as long as the answer is no, and after each connection. folder: a hash that says
 *        which folder it is (origin_hash_folder()). first: FirstStart=. files: how many are in it;
 *        absent, as the rest is, while nobody has counted. empty: nothing was in it when the intake
 *        opened it, and all has come since. recordings: how many its profile takes for recordings,
 *        and bytes: how much these are.
 *   {"op":"begin","job":N,"spool":S,"account":A|null,"path":base64,"class":C,
 *    "source":base64 (32 bytes),"firm":bool,"recorded_us":N,"finished_us":N,"plain_bytes":N,
 *    "probe":{"condition":"ok|damaged|empty|unprobed","damage":S?,"format":S?,"channels":N?,
 *             "sample_rate":N?,"frames":N?,"recoverable_bytes":N?},
 *    "sidecars":[{"path":base64,"bytes":base64}],"discarded":bool}
 *        account: base64 of the account's name bytes; null: the profile found none, quarantine it.
 *        path: the path below the spool, any bytes but NUL.
 *        source: hash of what identifies the file (origin_hash()). A hint, and no evidence: the
 *        keeper looks there for what the file may have been sealed as before.
 *        firm: the filesystem gives no two files that identity, whenever they exist.
 *        Times are 0 to INTAKE_TIME_MAX_US, frames at most INTAKE_FRAMES_MAX, channels and
 *        sample_rate as probe_wire.h bounds them. A recorded_us of more than a day after the
 *        sealing, or recoverable_bytes above plain_bytes, are cut down to these.
 *        finished_us: when the file was found finished (for exposure).
 *        probe: as in probe_wire.h.
 *        sidecars: RECORDING_SIDECARS_MAX at most, with paths below the spool, to be kept with the
 *        recording's private data.
 *        discarded: the bridge marked it as not wanted.
 *   {"op":"commit","job":N}
 *        The object is written and synced, and the intake has closed its descriptor; the source was
 *        unchanged when read to its end. If somebody still has a descriptor that writes, the keeper
 *        goes on with a copy of its own.
 *   {"op":"abort","job":N}
 *        Give the job up; its object is forgotten.
 *   {"op":"unlinked","job":N,"exposure_us":N}
 *        The plaintext is gone (for the exposure figures).
 *   {"op":"report","spools":[{"name":S,"path":S,"waiting":N,"refused":N,"oldest_finished_us":N?,
 *    "stale":N?,"stale_since_us":N?,"ignored":N?,"ignored_since_us":N?,
 *    "prompts":N?,"last_error":S?,"free_percent":N?,"low_space":bool?,
 *    "looked_ago_us":N?,"hung_threads":N?,"held":{"files":N,"recordings":N,"bytes":N}?,
 *    "facts":{...}}]}
 *        Every few seconds, whatever the spools do. held: the spool waits for a word, and this is
 *        how much is in it. looked_ago_us: how old the facts about this spool are; it grows while
 *        its filesystem does not answer. hung_threads: how many threads wait for its filesystem in
 *        the middle of a recording.
 *   {"op":"found","look":N,"spool":S,"path":S,"left":N,"complete":bool,"why":S?,"files":N,
 *    "unknown":N,"entries":[{"path":base64,"why":S}]}
 *        The answer to `look`, one for each spool; left: how many are still to come. files: how
 *        many files that hold plaintext of the account lie there. unknown: how many lie there of
 *        which nobody can tell whose they are. entries: the first INTAKE_FOUND_MAX of the files,
 *        with paths below the spool, and why each is there. complete false: the intake has not
 *        looked at the whole spool, for the reason in why.
 *
 * keeper -> intake
 *   {"op":"hello","version":4}
 *   {"op":"spool","spool":S,"folder":base64,"may":bool}
 *        The answer; and once more with true when somebody has allowed it. No recording of a spool
 *        is begun before the keeper has said true of the folder on this connection.
 *   {"op":"begun","job":N,"recording":ULID,"header":base64,"nonce":base64 (16 bytes)}
 *        With two descriptors: the object (unnamed, empty, writable) and a memfd of the payload key
 *        (32 bytes).
 *   {"op":"failed","job":N,"error":S,"retry":bool}
 *        At begin or commit; keep the plaintext. retry false: do not try this file again until it
 *        changes or the service restarts.
 *   {"op":"committed","job":N,"recording":ULID}
 *        Durable and verified: the plaintext may go.
 *   {"op":"already","job":N,"recording":ULID,"sidecars":bool}
 *        At commit, in place of `committed`: the recording named here, of the same account, holds
 *        the same bytes. The keeper has compared the two objects from end to end, and forgets the
 *        new one: the plaintext may go. sidecars: they were sealed with it, as they are now.
 *
 *   {"op":"look","look":N,"account":base64,"spool":S?,"path":base64?}
 *        Which files in the spools hold plaintext of this account? With spool and path: only the
 *        file of this path in this spool. A new look takes the place of the one under way.
 *
 * A spool's facts are for `recsealctl doctor`:
 *   {"there":B,"uid":N,"gid":N,"mode":N,"filesystem":S?,"leases":"honoured|unsound|not allowed",
 *    "at_rest":"memory|dm-crypt|fscrypt|plain|not known",
 *    "wipe":"yes|no|fails|does not help|would not help",
 *    "no_access":S?,"free_bytes":N?,"total_bytes":N?,   these only if it is there
 *    "profile":S,"class":S,"settle_us":N,"unleased":B,"watches":N,"watches_max":N,"unwatched":N}
 * unleased: a file without a lease was met. watches: of this spool; watches_max 0: not known.
 * unwatched: directories for which there was no watch.
 *
 * The intake writes header || nonce || STREAM chunks into the object, syncs it, and asks to commit.
 * A lost connection aborts all its jobs. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/socket.h"

#define INTAKE_WIRE_VERSION 4
#define INTAKE_MESSAGE_MAX  131072
#define INTAKE_SOURCE_BYTES 32
#define INTAKE_COUNT_MAX    INT64_C(1000000000000) /* files of a spool */
#define INTAKE_FOUND_MAX    20
#define INTAKE_WORDS_MAX    160 /* bytes of a reason that the intake gives */
/* The last moment of 9999: what RFC 3339 can write. */
#define INTAKE_TIME_MAX_US INT64_C(253402300799999999)
/* At the highest rate that there is, a quarter of a century. */
#define INTAKE_FRAMES_MAX (INT64_C(1) << 53)

/* Sends one message; the descriptors stay the caller's. 0; -EAGAIN when the socket is full; -errno;
 * -EMSGSIZE. */
int intake_wire_send(int fd, json_t *message, const struct socket_fds *fds_or_null);

/* Receives one message. 0; -EAGAIN; -ECONNRESET at end of stream; -RE_PROTOCOL for what is not a
 * JSON object with "op". The descriptors are the caller's. */
int intake_wire_receive(int fd, json_t **ret_message, struct socket_fds *ret_fds);

/* base64 (RFC 4648, padded) to and from JSON strings. intake_wire_bytes() returns the malloc'd
 * bytes (and a NUL after them, not counted); -RE_PROTOCOL when the member is missing, no base64 or
 * longer than max. */
json_t *intake_wire_base64(const void *bytes, size_t len);
int intake_wire_bytes(const json_t *message, const char *key, size_t max, uint8_t **ret_bytes,
		size_t *ret_len);
