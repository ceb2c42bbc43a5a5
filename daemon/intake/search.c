#include "daemon/intake/search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/wire/intake_wire.h"

#define ACCOUNT_BYTES_MAX 4096
#define PATH_BYTES_MAX    4096
/* A thread that is busy elsewhere begins late; the keeper waits for somewhat longer. */
#define SEARCH_US (LEFTOVERS_TIME_US + 2 * US_PER_S)

bool search_is_question(const json_t *message)
{
	return strcmp(json_string_value(json_object_get(message, "op")), "look") == 0;
}

static int question_read_place(const json_t *message, struct leftovers_question *question)
{
	const char *spool = json_string_value(json_object_get(message, "spool"));
	uint8_t *path = NULL;
	size_t len;

	if (!spool)
		return 0;
	int r = intake_wire_bytes(message, "path", PATH_BYTES_MAX, &path, &len);
	if (r < 0)
		return r;
	question->path = (char *)path;
	question->spool = strdup(spool);
	return question->spool ? 0 : -ENOMEM;
}

static int question_read(const json_t *message, struct leftovers_question **ret_question)
{
	struct leftovers_question *question = calloc(1, sizeof(*question));

	if (!question)
		return -ENOMEM;
	int r = intake_wire_bytes(message, "account", ACCOUNT_BYTES_MAX, &question->account,
			&question->account_len);
	if (r == 0)
		r = question_read_place(message, question);
	if (r < 0)
		leftovers_question_free(question);
	else
		*ret_question = question;
	return r;
}

static int search_ask_lanes(struct search *search, struct lane *lanes, size_t n_lanes,
		const struct leftovers_question *question)
{
	bool *answered = calloc(n_lanes ? n_lanes : 1, sizeof(*answered));

	if (!answered)
		return -ENOMEM;
	free(search->answered);
	search->answered = answered;
	search->left = n_lanes;
	for (size_t i = 0; i < n_lanes; i++) {
		struct leftovers_question *copy = leftovers_question_copy(question);
		if (!copy)
			return -ENOMEM;
		lane_search(&lanes[i], copy);
	}
	return 0;
}

int search_begin(struct search *search, struct lane *lanes, size_t n_lanes, const json_t *message)
{
	const json_t *number = json_object_get(message, "look");
	struct leftovers_question *question;

	if (!json_is_integer(number))
		return -RE_PROTOCOL;
	int r = question_read(message, &question);
	if (r < 0)
		return r;
	r = search_ask_lanes(search, lanes, n_lanes, question);
	leftovers_question_free(question);
	search->number = json_integer_value(number);
	search->until_us = monotonic_us() + SEARCH_US;
	search->under_way = r == 0;
	return r;
}

/* For a spool whose thread has not answered in time. */
static json_t *search_silence(const struct lane *lane)
{
	const struct config_spool *config = &lane->setup.config->spools[lane->setup.index];

	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:i, s:i, s:[]}", "op", "found", "spool",
			config->name, "path", "", "complete", 0, "why",
			"its filesystem does not answer, or it is busy", "files", 0, "unknown", 0,
			"entries");
}

/* Takes the message. */
static void search_send(struct search *search, size_t i, struct keeper_link *link, json_t *found)
{
	search->answered[i] = true;
	search->left--;
	if (found) {
		json_object_set_new(found, "look", json_integer(search->number));
		json_object_set_new(found, "left", json_integer((json_int_t)search->left));
	}
	keeper_link_send(link, found);
}

void search_answer(
		struct search *search, struct lane *lanes, size_t n_lanes, struct keeper_link *link)
{
	for (size_t i = 0; i < n_lanes && search->under_way; i++) {
		json_t *found = search->answered[i] ? NULL : lane_found(&lanes[i]);
		if (!found && !search->answered[i] && monotonic_us() >= search->until_us)
			found = search_silence(&lanes[i]);
		if (found)
			search_send(search, i, link, found);
	}
	search->under_way = search->under_way && search->left > 0;
}

void search_end(struct search *search)
{
	search->under_way = false;
	free(search->answered);
	search->answered = NULL;
}
