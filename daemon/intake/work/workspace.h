/* Memory for sealing one recording. The memory of small recordings is kept for the next one: to get
 * it from the kernel, page by page, and give it back costs as much processor time as sealing them.
 * Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKSPACES_KEPT        8 /* as many as there are threads */
#define WORKSPACE_PLAIN_BYTES  ((size_t)256 << 10)
#define WORKSPACE_SEALED_BYTES ((size_t)512 << 10)
#define WORKSPACE_ALIGN_BYTES  ((size_t)4096)

struct workspace {
	size_t plain_bytes;
	uint8_t *plain;
	uint8_t *sealed; /* aligned, for direct I/O */
	int kept;        /* which of those that are kept; -1: none */
};

/* -ENOMEM. */
int workspace_take(size_t plain_bytes, size_t sealed_bytes, struct workspace *ret_workspace);

/* Wipes the plaintext. Takes an empty ({0}) workspace as well. */
void workspace_give_back(struct workspace *workspace);
