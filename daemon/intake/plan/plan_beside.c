#include "daemon/intake/plan/plan_beside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for one more element. */
static int beside_grow(void **array, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return 0;
	size_t more = *room ? 2 * *room : 64;
	void *grown = reallocarray(*array, more, size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = more;
	return 0;
}

int plan_beside_add(struct plan_beside *beside, const char *path, uint64_t bytes, bool sidecar)
{
	void *files = beside->files;
	int r = beside_grow(&files, beside->n_files, &beside->room_files, sizeof(*beside->files));
	char *copy = r == 0 ? strdup(path) : NULL;

	beside->files = files;
	if (!copy)
		return -ENOMEM;
	beside->files[beside->n_files++] =
			(struct plan_beside_file){.path = copy, .bytes = bytes, .sidecar = sidecar};
	return 0;
}

static int beside_add_sealed(struct plan_beside *beside, const char *path, const char *account)
{
	void *sealed = beside->sealed;
	int r = beside_grow(
			&sealed, beside->n_sealed, &beside->room_sealed, sizeof(*beside->sealed));

	beside->sealed = sealed;
	if (r < 0)
		return r;
	struct plan_beside_sealed *s = &beside->sealed[beside->n_sealed++];
	*s = (struct plan_beside_sealed){
			.path = strdup(path), .account = account ? strdup(account) : NULL};
	return s->path && (s->account || !account) ? 0 : -ENOMEM;
}

int plan_beside_seal(struct plan_beside *beside, const struct bundle *bundle)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < bundle->n_sidecars; i++)
		r = beside_add_sealed(beside, bundle->sidecar[i].path, bundle->account);
	return r;
}

static int sealed_compare(const void *a, const void *b)
{
	return strcmp(((const struct plan_beside_sealed *)a)->path,
			((const struct plan_beside_sealed *)b)->path);
}

void plan_beside_tell(struct plan_beside *beside, const struct plan_sink *sink)
{
	if (beside->n_sealed > 0)
		qsort(beside->sealed, beside->n_sealed, sizeof(*beside->sealed), sealed_compare);
	for (size_t i = 0; i < beside->n_files; i++) {
		const struct plan_beside_file *f = &beside->files[i];
		const struct plan_beside_sealed key = {.path = f->path};
		const struct plan_beside_sealed *s =
				beside->n_sealed == 0
						? NULL
						: bsearch(&key, beside->sealed, beside->n_sealed,
								  sizeof(*s), sealed_compare);
		sink->file(sink->context,
				&(struct plan_file){.path = f->path,
						.fate = s ? PLAN_TAKEN : PLAN_IGNORED,
						.account = s ? s->account : NULL,
						.reason = s ? "is sealed with its recording"
							  : f->sidecar ? "goes with no recording"
								       : "belongs to the bridge",
						.bytes = f->bytes});
	}
}

void plan_beside_clear(struct plan_beside *beside)
{
	for (size_t i = 0; i < beside->n_files; i++)
		free(beside->files[i].path);
	for (size_t i = 0; i < beside->n_sealed; i++) {
		free(beside->sealed[i].path);
		free(beside->sealed[i].account);
	}
	free(beside->files);
	free(beside->sealed);
	*beside = (struct plan_beside){0};
}
