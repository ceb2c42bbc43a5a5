/* A keeper for the tests of recseald: speaks the wire from within the test, hands out unnamed
 * objects and random keys, and remembers all it was asked, in order. Nothing happens but within
 * fake_keeper_await(), so that a test decides what the intake sees and when. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/age_stream.h"
#include "daemon/common/wire/intake_wire.h"

enum fake_state {
	FAKE_BEGUN,      /* begin came; answered unless held */
	FAKE_COMMITTING, /* commit came */
	FAKE_COMMITTED,  /* the intake was told so: only from now on may the plaintext go */
	FAKE_FAILED,
	FAKE_ABORTED,
};

struct fake_recording {
	json_t *begin;
	json_int_t job;
	char *path; /* decoded */
	enum fake_state state;
	int object_fd;
	bool known; /* is to be answered with `already` */
	uint8_t nonce[AGE_PAYLOAD_NONCE_BYTES];
	uint8_t key[AGE_PAYLOAD_KEY_BYTES];
};

#define FAKE_RECORDINGS 4096

struct fake_keeper {
	int listen_fd, fd;
	unsigned connections;
	struct fake_recording recordings[FAKE_RECORDINGS]; /* every begin, in order */
	size_t n;
	json_t *report; /* the latest */
	unsigned reports;
	json_t *question; /* the latest: may a spool be taken from? */
	unsigned questions;

	/* What it does. */
	bool hold_begin, hold_commit; /* no answer; see fake_keeper_answer_*() */
	uint64_t hold_from_bytes;     /* no answer to a begin of so many; 0: of none */
	const char *fail_with;        /* answers `failed` with this */
	bool fail_retry;
	bool hold_spools;    /* no spool may be taken from */
	bool know_committed; /* answers `already` to the commit of what was committed before */
	bool know_sidecars;  /* ... and says that the sidecars are sealed, too */
};

void fake_keeper_start(struct fake_keeper *keeper, const char *socket_path);
void fake_keeper_stop(struct fake_keeper *keeper);

/* Serves until the condition holds; fails the test after a minute. */
typedef bool (*fake_condition)(struct fake_keeper *keeper, const void *argument);
void fake_keeper_await(struct fake_keeper *keeper, fake_condition condition, const void *argument);

/* Answers the latest question about a spool, once more. */
void fake_keeper_answer_spool(struct fake_keeper *keeper, bool may);

/* Ends the connection; the intake connects again by itself. */
void fake_keeper_vanish(struct fake_keeper *keeper);

/* The answers that were held. */
void fake_keeper_answer_begin(struct fake_keeper *keeper, struct fake_recording *recording);
void fake_keeper_answer_commit(struct fake_keeper *keeper, struct fake_recording *recording);

/* Sends any text. */
void fake_keeper_say(struct fake_keeper *keeper, const char *text);

/* The latest begin of this path, or NULL; how many there were. */
struct fake_recording *fake_keeper_find(struct fake_keeper *keeper, const char *path);
size_t fake_keeper_begins(const struct fake_keeper *keeper, const char *path);

/* Whether any state of this path was ever committed: what excuses a missing plaintext. */
bool fake_keeper_committed(const struct fake_keeper *keeper, const char *path);

/* Fails the test unless the object opens to exactly these bytes. */
void fake_keeper_assert_sealed(
		const struct fake_recording *recording, const void *bytes, size_t len);
