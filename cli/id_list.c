#include "cli/id_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int id_list_add(struct id_list *list, const char *text)
{
	uint8_t id[ULID_BYTES];
	int r = ulid_parse(text, id);

	if (r < 0)
		return r;
	if (list->n == list->room) {
		size_t room = list->room ? 2 * list->room : 256;
		void *ids = reallocarray(list->ids, room, sizeof(*list->ids));
		if (!ids)
			return -ENOMEM;
		list->ids = ids;
		list->room = room;
	}
	memcpy(list->ids[list->n++], id, sizeof(id));
	return 0;
}

void id_list_free(struct id_list *list)
{
	free(list->ids);
	*list = (struct id_list){0};
}
