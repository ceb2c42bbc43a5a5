#include "tests/unit/support/mirror_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "daemon/keeper/vault/recordings.h"

#define FILE_BYTES (3 * 4096)
#define SLOT_BYTES 4096

int mirror_fixture_records(
		struct mirror_fixture *s, const char *name, struct root_record *ret_record)
{
	uint8_t bytes[FILE_BYTES];
	char path[256];
	size_t n;
	int valid = 0;

	snprintf(path, sizeof(path), "%s/%s", s->f.dir, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	assert_int_equal(io_pread_full(fd, bytes, sizeof(bytes), 0, &n), 0);
	for (unsigned i = 0; i < ROOT_SLOTS; i++)
		valid += root_record_decode(bytes + i * SLOT_BYTES, ret_record) == 0;
	return valid;
}

bool mirror_fixture_holds_old(struct mirror_fixture *s, const char *name)
{
	uint8_t bytes[FILE_BYTES];
	char path[256];
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", s->f.dir, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(io_pread_full(fd, bytes, sizeof(bytes), 0, &n), 0);
	return memmem(bytes, n, s->old, sizeof(s->old)) != NULL;
}

struct mirror_order mirror_fixture_order(
		struct mirror_fixture *s, const char *name, const char *folder)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", s->f.dir, folder ? folder : "");
	return (struct mirror_order){.name = name,
			.kind = MIRROR_FILE,
			.location = folder ? path : NULL,
			.reason = "test",
			.uid = 7};
}

int mirror_fixture_add(struct mirror_fixture *s, const char *name, const char *folder,
		struct reason *reason)
{
	struct mirror_order o = mirror_fixture_order(s, name, folder);

	return mirror_add_new(&s->f.vault->root, &o, reason);
}

int mirror_fixture_drop(struct mirror_fixture *s, const char *name, struct reason *reason)
{
	struct mirror_order o = mirror_fixture_order(s, name, NULL);

	return mirror_drop(&s->f.vault->root, &o, reason);
}

void mirror_fixture_open(struct mirror_fixture *s)
{
	struct root_record record;

	vault_fixture_open(&s->f);
	vault_fixture_seal(&s->f, "alice", "alice/call", 10, 1, &s->alice);
	vault_fixture_seal(&s->f, "bob", "bob/call", 10, 1, &s->bob);
	vault_fixture_shell(&s->f, "mkdir -m 700 $D/usb");
	assert_int_equal(mirror_fixture_add(s, "usb", "usb", NULL), 0);
	assert_int_equal(mirror_fixture_records(s, SCENE_MIRROR_FILE, &record), 1);
	assert_int_equal(record.epoch, vault_epoch(s->f.vault));
	memcpy(s->old, record.key, sizeof(s->old));
	assert_true(mirror_fixture_holds_old(s, SCENE_KEEPER_FILE) &&
			mirror_fixture_holds_old(s, SCENE_MIRROR_FILE));
}

void mirror_fixture_close(struct mirror_fixture *s)
{
	vault_fixture_close(&s->f);
}

void mirror_fixture_assert_plays(struct mirror_fixture *s, const char *id)
{
	struct recording_opened opened;
	struct recording_row row;

	vault_fixture_row(&s->f, id, &row);
	assert_int_equal(recordings_open(&s->f.vault->ingest.recordings, &row, &opened), 0);
	close(opened.object_fd);
	close(opened.key_fd);
	catalog_recording_clear(&row);
}

void mirror_fixture_reopen(struct mirror_fixture *s)
{
	char *text = NULL;
	int r = vault_fixture_reopen(&s->f, 0, &text);

	if (r < 0)
		fail_msg("%d: %s", r, text);
	free(text);
}

void mirror_fixture_assert_destroyed(struct mirror_fixture *s)
{
	struct root_record record;

	assert_int_equal(vault_fixture_state(&s->f, s->alice), RECORDING_DESTROYED);
	assert_false(mirror_fixture_holds_old(s, SCENE_KEEPER_FILE) ||
			mirror_fixture_holds_old(s, SCENE_MIRROR_FILE));
	assert_int_equal(mirror_fixture_records(s, SCENE_KEEPER_FILE, &record), 1);
	assert_int_equal(record.epoch, vault_epoch(s->f.vault));
	assert_int_equal(mirror_fixture_records(s, SCENE_MIRROR_FILE, &record), 1);
	assert_int_equal(record.epoch, vault_epoch(s->f.vault));
	mirror_fixture_assert_plays(s, s->bob);
}

int mirror_fixture_erase(struct mirror_fixture *s)
{
	return vault_fixture_erase(&s->f, ERASE_ACCOUNT, s->alice);
}
