#include "cli/look_alikes.h"

#include <string.h>

#include "cli/field.h"
#include "cli/output.h"

#define EXPLAINED_MAX 3 /* an error is one line */

static const char *text_or(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

/* The name as people read it, unless its spelling says the same. */
static void print_look_alike(const json_t *account, FILE *f)
{
	const char *name = text_or(field_text(account, "name"), "(unreadable)");
	const char *spelling = text_or(field_text(account, "spelling"), name);
	bool plain = strcmp(name, spelling) == 0;
	char count[OUTPUT_BYTES], bytes[OUTPUT_BYTES];

	output_count(field_int(account, "recordings", 0), "recording", count);
	output_bytes(field_int(account, "plaintext_bytes", 0), bytes);
	output_factf(f, "looks alike", "%s%s%s%s: %s, %s; %s, handle %s", name,
			plain ? "" : " (spelt ", plain ? "" : spelling, plain ? "" : ")", count,
			bytes, text_or(field_text(account, "state"), "state not known"),
			text_or(field_text(account, "handle"), "not known"));
}

int64_t look_alikes_count(const json_t *object)
{
	return (int64_t)json_array_size(field_array(object, "look_alikes")) +
	       field_int(object, "look_alikes_left_off", 0);
}

void look_alikes_print(const json_t *object, FILE *f)
{
	json_t *list = field_array(object, "look_alikes"), *account;
	int64_t left_off = field_int(object, "look_alikes_left_off", 0);
	size_t i;

	json_array_foreach(list, i, account) print_look_alike(account, f);
	if (left_off > 0)
		output_factf(f, "look alike", "%lld more: see recsealctl account list",
				(long long)left_off);
	if (json_array_size(list) > 0)
		output_fact(f, "own spelling", field_text(object, "spelling"));
}

void look_alikes_explain(const json_t *parameters, struct reason *reason)
{
	json_t *list = field_array(parameters, "look_alikes"), *account;
	size_t i, len = strlen(reason->text);

	json_array_foreach(list, i, account)
	{
		if (len >= sizeof(reason->text))
			return;
		len += (size_t)snprintf(reason->text + len, sizeof(reason->text) - len, "%s%s",
				i == 0 ? "; there is one that looks alike, spelt " : ", ",
				i == EXPLAINED_MAX ? "and more"
						   : text_or(field_text(account, "spelling"),
								     "(unreadable)"));
		if (i == EXPLAINED_MAX)
			return;
	}
}
