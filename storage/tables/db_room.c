/* The log's file as the reserve (db.h).
 *
 * SQLite writes the log from its beginning again once all of it is in the database, and never
 * shortens it here (no journal_size_limit; SQLITE_FCNTL_PERSIST_WAL keeps it on close). Space
 * behind what SQLite wrote is allocated by posix_fallocate(3); it reads as zeros, which is no
 * valid frame (https://sqlite.org/fileformat2.html#the_write_ahead_log). So all that is left to
 * know is how many frames are in use. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "storage/tables/db_internal.h"

#define LOG_HEADER_BYTES   32
#define FRAME_HEADER_BYTES 24
#define FRAME_BYTES        (FRAME_HEADER_BYTES + 4096)
#define SALT_BYTES         8
/* Pages that every epoch writes go to the database once for many epochs. */
#define FRAMES_MAX 4000
/* The log grows in steps of this, which is also what fits in beside the reserve. */
#define STEP_BYTES (UINT64_C(4) << 20)
/* With less free than this the log is copied to the database before it is made longer. */
#define PLENTY_BYTES (UINT64_C(64) << 20)
/* Kept behind the end of the database, so that copying the log there can succeed on a full disk. */
#define GROWTH_BYTES (UINT64_C(1) << 20)

uint64_t db_room_used(const struct db *db)
{
	return db->log_frames == 0 ? 0 : LOG_HEADER_BYTES + db->log_frames * FRAME_BYTES;
}

uint64_t db_room_left(const struct db *db)
{
	uint64_t used = db_room_used(db);

	return db->log_bytes > used ? db->log_bytes - used : 0;
}

uint64_t db_room_free(const struct db *db)
{
	struct statvfs sv;

	return fstatvfs(db->log_fd, &sv) < 0 ? 0 : (uint64_t)sv.f_bavail * sv.f_frsize;
}

/* A checkpoint cuts the file off behind the last page, and with it what was allocated there. */
static void file_allocate_growth(struct db *db)
{
	struct stat st;

	if (fstat(db->file_fd, &st) == 0)
		(void)fallocate(db->file_fd, FALLOC_FL_KEEP_SIZE, st.st_size, GROWTH_BYTES);
}

/* Copies the log to the database. False when some of it is left, for want of room perhaps: the log
 * then keeps it, and nothing is lost. */
static bool log_copy(struct db *db)
{
	int frames = -1, copied = -1;
	int result = sqlite3_wal_checkpoint_v2(
			db->handle, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);

	if (result != SQLITE_OK || frames < 0 || frames != copied)
		return false;
	db->log_frames = 0;
	file_allocate_growth(db);
	return true;
}

static int log_on_commit(void *context, sqlite3 *handle, const char *name, int frames)
{
	struct db *db = context;

	db->log_frames = (uint64_t)frames;
	if (db_room_used(db) > db->log_bytes)
		db->log_bytes = db_room_used(db);
	if (frames >= FRAMES_MAX)
		(void)log_copy(db);
	return SQLITE_OK;
}

static int log_grow(struct db *db, uint64_t bytes)
{
	int error;

	do
		error = posix_fallocate(db->log_fd, 0, (off_t)bytes);
	while (error == EINTR);
	if (error == 0 && bytes > db->log_bytes)
		db->log_bytes = bytes;
	return -error;
}

static int log_extend(struct db *db, uint64_t bytes)
{
	uint64_t needed = db_room_used(db) + bytes;
	uint64_t rounded = (needed + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
	int r = log_grow(db, rounded);

	return r < 0 && rounded > needed ? log_grow(db, needed) : r;
}

int db_room_take(struct db *db, uint64_t bytes)
{
	if (db->log_fd < 0 || db_room_left(db) >= bytes)
		return 0;
	if (db_room_free(db) >= PLENTY_BYTES && log_extend(db, bytes) == 0)
		return 0;
	if (db->log_frames > 0)
		(void)log_copy(db);
	return db_room_left(db) >= bytes ? 0 : log_extend(db, bytes);
}

static int log_open(struct db *db, const char *path)
{
	_cleanup_free_ char *log = NULL;
	struct stat st;

	if (asprintf(&log, "%s-wal", path) < 0)
		return -ENOMEM;
	db->file_fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	db->log_fd = open(log, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (db->file_fd < 0 || db->log_fd < 0 || fstat(db->log_fd, &st) < 0)
		return -errno;
	db->log_bytes = (uint64_t)st.st_size;
	return 0;
}

/* An upper bound: frames of one run of the log have the same salt. */
static void log_count_frames(struct db *db)
{
	uint8_t header[LOG_HEADER_BYTES], frame[FRAME_HEADER_BYTES];
	uint64_t frames = 0;
	size_t n;

	if (io_pread_full(db->log_fd, header, sizeof(header), 0, &n) < 0 || n < sizeof(header))
		return;
	for (off_t at = LOG_HEADER_BYTES;; at += FRAME_BYTES, frames++) {
		if (io_pread_full(db->log_fd, frame, sizeof(frame), at, &n) < 0 ||
				n < sizeof(frame) ||
				memcmp(frame + 8, header + 16, SALT_BYTES) != 0)
			break;
	}
	db->log_frames = frames;
}

void db_room_keep_log(struct db *db)
{
	int persist = 1;

	sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
}

/* What fails here for want of room is no reason not to open: what needs room will say so. */
int db_room_open(struct db *db, const char *path)
{
	int r = log_open(db, path);

	if (r < 0)
		return r;
	sqlite3_wal_hook(db->handle, log_on_commit, db);
	if (!log_copy(db))
		log_count_frames(db);
	/* All of it, also where a copying tool has left a hole. */
	(void)log_grow(db, db->log_bytes);
	(void)log_extend(db, DB_RESERVE_BYTES + STEP_BYTES);
	return 0;
}

/* A database in doubt keeps its log as it is: that is what a restart looks at. */
bool db_room_settle(struct db *db)
{
	if (db->in_doubt)
		sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return db->log_fd >= 0 && !db->in_doubt && log_copy(db);
}

static void log_void(struct db *db)
{
	static const char zeros[LOG_HEADER_BYTES];

	if (io_pwrite_all(db->log_fd, zeros, sizeof(zeros), 0) == 0)
		(void)durable_sync(db->log_fd);
}

void db_room_close(struct db *db, bool settled)
{
	if (settled)
		log_void(db);
	if (db->log_fd >= 0)
		close(db->log_fd);
	if (db->file_fd >= 0)
		close(db->file_fd);
}
