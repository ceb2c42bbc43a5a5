#include "daemon/keeper/control/look_alikes.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/control/view.h"
#include "daemon/keeper/vault/accounts.h"

#define LOOK_ALIKES_MAX 100

/* The name so that no two are written alike, and as recsealctl takes it: ASCII, with \xNN for all
 * else, and for blanks that do not stand alone between other characters. */
static void spelling_write(
		const uint8_t *name, size_t len, char ret_text[static 4 * ACCOUNT_NAME_MAX + 1])
{
	char *out = ret_text;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = name[i];
		bool lone = c == ' ' && i > 0 && i + 1 < len && name[i - 1] != ' ';
		if (c == '\\')
			out += sprintf(out, "\\\\");
		else if ((c > ' ' && c < 0x7f) || lone)
			*out++ = (char)c;
		else
			out += sprintf(out, "\\x%02x", c);
	}
	*out = '\0';
}

/* NULL when nobody can read the name. */
static json_t *spelling_of(struct vault *vault, const struct account_row *row)
{
	uint8_t name[ACCOUNT_NAME_MAX];
	char text[4 * ACCOUNT_NAME_MAX + 1];
	size_t len;

	if (accounts_name_bytes(vault->root.tree, row, name, &len) < 0)
		return NULL;
	spelling_write(name, len, text);
	json_t *spelling = json_string(text);
	sodium_memzero(name, sizeof(name));
	sodium_memzero(text, sizeof(text));
	return spelling;
}

static int look_alike_view(struct vault *vault, const struct account_row *row, json_t **ret_view)
{
	char handle[ACCOUNT_HANDLE_CHARS + 1];
	_cleanup_free_ char *name = NULL;
	struct tally tally;
	int r = view_account_name(vault, row, &name);

	if (r == 0)
		r = catalog_tally_get(vault->db, row->id, &tally);
	if (r < 0)
		return r;
	struct share live = catalog_tally_live(&tally);
	account_handle_format(row->handle, handle);
	json_t *view = json_pack("{s:s*, s:o*, s:s, s:s, s:I, s:I}", "name", name, "spelling",
			spelling_of(vault, row), "handle", handle, "state",
			account_state_name(row->state), "recordings", (json_int_t)live.count,
			"plaintext_bytes", (json_int_t)live.plain_bytes);
	if (!view)
		return -ENOMEM;
	*ret_view = view;
	return 0;
}

static int list_add(struct vault *vault, const struct account_row *row, json_t *list)
{
	json_t *view;
	int r = look_alike_view(vault, row, &view);

	if (r < 0)
		return r;
	return json_array_append_new(list, view) < 0 ? -ENOMEM : 0;
}

/* Without the account except. */
static int list_fill(struct vault *vault, const uint8_t look[static CATALOG_LOOKUP_BYTES],
		int64_t except, json_t *list)
{
	struct account_row row = {0};
	int r = 0;

	for (int64_t id = 0; r == 0 && json_array_size(list) < LOOK_ALIKES_MAX;) {
		r = catalog_account_next_alike(vault->db, look, id, &row);
		if (r < 0)
			break;
		id = row.id;
		if (id != except)
			r = list_add(vault, &row, list);
		catalog_account_clear(&row);
	}
	return r == -ENOENT ? 0 : r;
}

/* Beyond those that are named, and the account itself. */
static int facts_set_left_off(struct vault *vault, const uint8_t look[static CATALOG_LOOKUP_BYTES],
		const json_t *list, json_t *facts)
{
	int64_t all = 0, named = (int64_t)json_array_size(list) + 1;
	int r = 0;

	if (json_array_size(list) == LOOK_ALIKES_MAX)
		r = catalog_account_count_alike(vault->db, look, &all);
	if (r == 0 && all > named)
		r = json_object_set_new(facts, "look_alikes_left_off",
				json_integer((json_int_t)(all - named)));
	return r;
}

int look_alikes_of(struct vault *vault, const struct account_row *row, json_t **ret_facts)
{
	static const uint8_t none[CATALOG_LOOKUP_BYTES];
	json_t *list = json_array(), *facts = json_pack("{s:o}", "look_alikes", list);
	int r = facts ? 0 : -ENOMEM;

	if (r == 0 && memcmp(row->look, none, sizeof(none)) != 0) {
		r = list_fill(vault, row->look, row->id, list);
		if (r == 0)
			r = facts_set_left_off(vault, row->look, list, facts);
	}
	json_t *spelling = r == 0 && json_array_size(list) > 0 ? spelling_of(vault, row) : NULL;
	if (spelling && json_object_set_new(facts, "spelling", spelling) < 0)
		r = -ENOMEM;
	if (r < 0) {
		json_decref(facts);
		return r;
	}
	*ret_facts = facts;
	return 0;
}

int look_alikes_of_typed(struct vault *vault, const char *text, json_t **ret_list)
{
	uint8_t name[ACCOUNT_NAME_MAX], look[CATALOG_LOOKUP_BYTES];
	ssize_t len = accounts_parse_name(text, name);
	json_t *list = json_array();
	int r = list ? 0 : -ENOMEM;

	if (r == 0 && len > 0)
		r = accounts_look(vault->root.tree, name, (size_t)len, look);
	if (r == 0 && len > 0)
		r = list_fill(vault, look, 0, list);
	if (r < 0) {
		json_decref(list);
		return r;
	}
	*ret_list = list;
	return 0;
}
