#include "tests/unit/support/faults.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	enum fault fault;
	unsigned at, n, count;
} state;

void faults_arm(enum fault fault, unsigned at, unsigned n)
{
	state.fault = fault;
	state.at = at;
	state.n = n;
	state.count = 0;
}

unsigned faults_disarm(void)
{
	state.fault = FAULT_NONE;
	return state.count;
}

/* What is to happen to the operation at hand. */
static enum fault next(void)
{
	unsigned at = state.count++;
	enum fault fault = at >= state.at && at - state.at < state.n ? state.fault : FAULT_NONE;

	if (fault == FAULT_EXIT_BEFORE)
		_exit(FAULT_EXIT_CODE);
	return fault;
}

static void end(enum fault fault)
{
	if (fault == FAULT_EXIT_TORN || fault == FAULT_EXIT_AFTER)
		_exit(FAULT_EXIT_CODE);
}

/* Root slots. */

struct faulty_root {
	struct root_provider provider;
	struct root_provider *real;
};

static int faulty_read(struct root_provider *provider, unsigned slot,
		uint8_t ret_image[static ROOT_IMAGE_BYTES])
{
	struct root_provider *real = ((struct faulty_root *)provider)->real;
	enum fault fault = next();
	int r = real->ops->read(real, slot, ret_image);

	end(fault);
	if (fault == FAULT_LIE)
		ret_image[100] ^= 1;
	return fault == FAULT_NONE || fault == FAULT_LIE ? r : -EIO;
}

static void tear(struct root_provider *real, unsigned slot,
		const uint8_t image[static ROOT_IMAGE_BYTES])
{
	uint8_t torn[ROOT_IMAGE_BYTES];

	if (real->ops->read(real, slot, torn) == 0) {
		memcpy(torn, image, sizeof(torn) / 2);
		(void)real->ops->write(real, slot, torn);
	}
}

static int faulty_write(struct root_provider *provider, unsigned slot,
		const uint8_t image[static ROOT_IMAGE_BYTES])
{
	struct root_provider *real = ((struct faulty_root *)provider)->real;
	enum fault fault = next();
	int r = 0;

	if (fault == FAULT_EXIT_TORN || fault == FAULT_EIO_TORN)
		tear(real, slot, image);
	else if (fault != FAULT_EIO && fault != FAULT_LIE)
		r = real->ops->write(real, slot, image);
	end(fault);
	return fault == FAULT_NONE || fault == FAULT_LIE ? r : -EIO;
}

static void faulty_free(struct root_provider *provider)
{
	root_provider_free(((struct faulty_root *)provider)->real);
	free(provider);
}

void faults_on_root(struct vault *vault)
{
	faults_on_member(vault, 0);
}

void faults_on_member(struct vault *vault, size_t i)
{
	static const struct root_provider_ops ops = {
			.read = faulty_read, .write = faulty_write, .free = faulty_free};
	struct faulty_root *root = calloc(1, sizeof(*root));

	if (!root)
		abort();
	root->real = vault->root.copies->member[i].provider;
	root->provider = (struct root_provider){.ops = &ops, .assurance = root->real->assurance};
	root_set_exchange(vault->root.copies, i, &root->provider);
}

/* SQLite's files. */

struct faulty_file {
	sqlite3_file base;
	sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct faulty_file *)file)->real;
}

static int file_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *buf, int len, sqlite3_int64 offset)
{
	return real_of(file)->pMethods->xRead(real_of(file), buf, len, offset);
}

static int file_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
	sqlite3_file *real = real_of(file);
	enum fault fault = next();
	int r = SQLITE_OK;

	if (fault == FAULT_EXIT_TORN || fault == FAULT_EIO_TORN)
		r = real->pMethods->xWrite(real, data, len / 2, offset);
	else if (fault != FAULT_EIO && fault != FAULT_LIE)
		r = real->pMethods->xWrite(real, data, len, offset);
	end(fault);
	return fault == FAULT_NONE || fault == FAULT_LIE ? r : SQLITE_IOERR_WRITE;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	enum fault fault = next();
	int r = real_of(file)->pMethods->xTruncate(real_of(file), size);

	end(fault);
	return fault == FAULT_NONE || fault == FAULT_LIE ? r : SQLITE_IOERR_TRUNCATE;
}

static int file_sync(sqlite3_file *file, int flags)
{
	enum fault fault = next();
	int r = real_of(file)->pMethods->xSync(real_of(file), flags);

	end(fault);
	return fault == FAULT_NONE || fault == FAULT_LIE ? r : SQLITE_IOERR_FSYNC;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), ret_size);
}

static int file_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_lock(sqlite3_file *file, int *ret_locked)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret_locked);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_sector(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_device(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
		int *ret_flags)
{
	static const sqlite3_io_methods methods = {1, file_close, file_read, file_write,
			file_truncate, file_sync, file_size, file_lock, file_unlock,
			file_check_lock, file_control, file_sector, file_device, NULL, NULL, NULL,
			NULL, NULL, NULL};
	struct faulty_file *faulty = (struct faulty_file *)file;
	sqlite3_vfs *real = vfs->pAppData;

	faulty->real = (sqlite3_file *)(faulty + 1);
	int r = real->xOpen(real, name, faulty->real, flags, ret_flags);
	file->pMethods = faulty->real->pMethods ? &methods : NULL;
	return r;
}

void faults_on_database(bool on)
{
	static sqlite3_vfs faulty;
	static sqlite3_vfs *real;

	if (!real) {
		real = sqlite3_vfs_find(NULL);
		faulty = *real;
		faulty.zName = "faulty";
		faulty.pNext = NULL;
		faulty.szOsFile += (int)sizeof(struct faulty_file);
		faulty.xOpen = vfs_open;
		faulty.pAppData = real;
	}
	sqlite3_vfs_register(on ? &faulty : real, 1);
}
