/* Tests that hold against each kind of object store: in memory, and in a folder. The state is a
 * struct folder, which a store in memory leaves empty. */
#pragma once

#include "tests/unit/support/folder_fixture.h"

#include "base/ulid.h"
#include "storage/objects/object_store.h"

/* The kind that the running test is about. */
static bool in_memory;

static inline int setup_memory(void **state)
{
	in_memory = true;
	return make_folder(state);
}

static inline int setup_folder(void **state)
{
	in_memory = false;
	return make_folder(state);
}

#define of_folder(test) cmocka_unit_test_setup_teardown(test, setup_folder, remove_folder)
#define of_memory(test) cmocka_unit_test_setup_teardown(test, setup_memory, remove_folder)
#define of_each(test)   of_folder(test), of_memory(test)

static inline struct object_store *opened(struct folder *f)
{
	struct object_store *store;

	assert_int_equal(object_store_open(in_memory ? "memory:" : f->path, &store), 0);
	return store;
}

static inline void ulid_at(uint64_t ms, uint8_t mark, uint8_t ret_ulid[static ULID_BYTES])
{
	ulid_new((int64_t)ms * 1000, ret_ulid);
	ret_ulid[15] = mark;
}

static int files;

static inline int count_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	files += type == FTW_F;
	return 0;
}

/* How many files have a name, anywhere below the folder. */
static inline int named_files(struct folder *f)
{
	files = 0;
	assert_int_equal(nftw(f->path, count_file, 8, FTW_PHYS), 0);
	return files;
}
