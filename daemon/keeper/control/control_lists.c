/* ListRecordings and ListAccounts: pages, made as fast as they are read. Between two pages only the
 * last id is kept, so that a slow reader holds nothing up. */
#include <errno.h>
#include <stdlib.h>

#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/view.h"
#include "daemon/keeper/vault/recordings.h"

#define PAGE_ROWS  200
#define PAGE_BYTES (768 * 1024) /* no row is longer than some 50 KiB */

struct list {
	struct control_call call;
	const char *member; /* of the reply */
	/* The next row's view; -ENOENT at the end, -EAGAIN when it is to be called again later. */
	int (*next)(struct list *list, json_t **ret_view);
	struct recording_filter filter; /* after_id is the cursor, also of accounts */
	struct view_account_cache cache;
};

static int list_next_recording(struct list *list, json_t **ret_view)
{
	struct recording_row row;
	int r = catalog_recording_next(list->call.vault->db, &list->filter, &row);

	if (r < 0)
		return r;
	r = view_recording(list->call.vault, &row, &list->cache, ret_view);
	catalog_recording_clear(&row);
	return r;
}

static int list_next_account(struct list *list, json_t **ret_view)
{
	struct account_row row;
	int r = catalog_account_next(list->call.vault->db, list->filter.after_id, &row);

	if (r < 0)
		return r;
	list->filter.after_id = row.id;
	r = view_account(list->call.vault, &row, ret_view);
	catalog_account_clear(&row);
	return r;
}

/* 0 or -EAGAIN when there may be more rows, -ENOENT when these were the last. */
static int list_fill_page(struct list *list, json_t *page)
{
	size_t bytes = 0;

	while (json_array_size(page) < PAGE_ROWS && bytes < PAGE_BYTES) {
		json_t *view;
		int r = list->next(list, &view);
		if (r < 0)
			return r;
		bytes += json_dumpb(view, NULL, 0, JSON_COMPACT);
		if (json_array_append_new(page, view) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void list_next(struct varlink_call *varlink, void *state)
{
	struct list *list = state;
	json_t *page = json_array();
	/* -ENOENT is the end of the table: nothing a row refers to is ever missing. */
	int r = page ? list_fill_page(list, page) : -ENOMEM;

	if (r < 0 && r != -ENOENT && r != -EAGAIN) {
		json_decref(page);
		control_answer_failed(&list->call, r);
		return;
	}
	json_t *parameters = json_pack("{s:o}", list->member, page);
	/* The peer asks for the next page by reading this one. */
	if (r != -ENOENT)
		varlink_call_continue(varlink, parameters);
	else
		varlink_call_reply(varlink, parameters, NULL);
}

static void list_free(void *state)
{
	struct list *list = state;

	view_account_cache_clear(&list->cache);
	free(list);
}

static const struct varlink_stream list_stream = {.next = list_next, .free = list_free};

static int list_start(struct control_call *call, const char *member,
		int (*next)(struct list *, json_t **), const struct recording_filter *filter)
{
	struct list *list = calloc(1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	list->call = *call;
	list->member = member;
	list->next = next;
	list->filter = *filter;
	varlink_call_stream(call->varlink, &list_stream, list);
	return CONTROL_ANSWERED;
}

static int filter_set_account(struct control_call *call, struct recording_filter *filter)
{
	struct account_row row;

	if (!control_text(call, "account"))
		return 0;
	int r = control_find_account(call, "account", &row);
	if (r != 0)
		return r;
	filter->account = row.id;
	catalog_account_clear(&row);
	return 0;
}

static int filter_set_state(struct control_call *call, struct recording_filter *filter)
{
	const char *text = control_text(call, "state");

	if (!text || recording_state_parse(text, &filter->state) == 0)
		return 0;
	return control_answer_invalid(call, "state",
			"must be sealed, quarantined, held, pending, destroyed or expired");
}

static int filter_set_times(struct control_call *call, const char *name, int64_t *time_us)
{
	const char *text = control_text(call, name);

	if (!text)
		return 0;
	if (clock_parse_rfc3339(text, time_us) < 0)
		return control_answer_invalid(
				call, name, "must be a date or time like 2026-11-23T09:01:20Z");
	if (*time_us == 0)
		*time_us = 1; /* 0 would not filter */
	return 0;
}

int control_lists_recordings(struct control_call *call)
{
	struct recording_filter filter = {0};
	int r = filter_set_account(call, &filter);

	if (r == 0)
		r = filter_set_state(call, &filter);
	if (r == 0)
		r = filter_set_times(call, "since", &filter.since_us);
	if (r == 0)
		r = filter_set_times(call, "until", &filter.until_us);
	return r == 0 ? list_start(call, "recordings", list_next_recording, &filter) : r;
}

int control_lists_accounts(struct control_call *call)
{
	const struct recording_filter everything = {0};

	return list_start(call, "accounts", list_next_account, &everything);
}
