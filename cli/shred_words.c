#include "cli/shred_words.h"

#include <string.h>

#include "base/cleanup.h"
#include "cli/describe.h"
#include "cli/field.h"
#include "cli/look_alikes.h"
#include "cli/output.h"
#include "cli/shred_left.h"

const char *shred_words_confirmation(const json_t *plan, const struct shred_target *target)
{
	const char *name = field_text(plan, target->kind);

	return name && *name ? name : target->name;
}

/* "14 recordings, 3.2 GiB" */
static void print_amount(const json_t *object, const char *label, FILE *f)
{
	char count[OUTPUT_BYTES], bytes[OUTPUT_BYTES];

	output_count(field_int(object, "recordings", 0), "recording", count);
	output_bytes(field_int(object, "plaintext_bytes", 0), bytes);
	output_factf(f, label, "%s, %s", count, bytes);
}

static void print_assurance(const json_t *object, FILE *f)
{
	const char *assurance = field_text(object, "assurance");
	const char *sentence = field_text(object, "assurance_sentence");
	json_t *given_up;
	size_t i;

	output_factf(f, "assurance", "%s: %s", assurance ? assurance : "unknown",
			sentence ? sentence : "the keeper does not say");
	json_array_foreach(field_array(object, "not_overwritten"), i, given_up)
			output_fact(f, "not overwritten", json_string_value(given_up));
}

void shred_words_plan(const json_t *plan, const struct shred_target *target, FILE *f)
{
	_cleanup_free_ char *range = describe_range(plan);

	fprintf(f, "This shred would destroy the %s ", target->kind);
	output_text(f, shred_words_confirmation(plan, target));
	fputs(":\n", f);
	print_amount(plan, "would be lost", f);
	look_alikes_print(plan, f);
	output_fact(f, "recorded", range);
	if (strcmp(target->kind, "account") == 0)
		output_fact(f, "also lost",
				"the account's name and its recordings' file names; "
				"the account cannot be opened again");
	print_assurance(plan, f);
	shred_left_print(plan, target->kind, false, f);
	if (look_alikes_count(plan) > 0)
		fputs("Accounts that look alike are other accounts: this shred leaves them.\n", f);
	fputs("A shred cannot be undone.\n", f);
}

/* In the first line, for whoever reads no further. */
static void print_left(int64_t look_alikes, FILE *f)
{
	char count[OUTPUT_BYTES];

	output_count(look_alikes, "account", count);
	if (look_alikes > 0)
		fprintf(f, " Not destroyed: %s that look%s alike.", count,
				look_alikes == 1 ? "s" : "");
	putc('\n', f);
}

void shred_words_result(const json_t *result, const struct shred_target *target,
		const char *confirmed, const char *reason, FILE *f)
{
	fprintf(f, "Destroyed: the keys of the %s ", target->kind);
	output_text(f, confirmed);
	fputs(".", f);
	print_left(look_alikes_count(result), f);
	print_amount(result, "destroyed", f);
	look_alikes_print(result, f);
	output_fact(f, "when", field_text(result, "destroyed_at"));
	output_factf(f, "epoch", "%lld before, %lld after",
			(long long)field_int(result, "epoch_before", 0),
			(long long)field_int(result, "epoch_after", 0));
	output_fact(f, "reason", reason);
	print_assurance(result, f);
	shred_left_print(result, target->kind, true, f);
	if (look_alikes_count(result) > 0)
		fputs("Accounts that look alike were not destroyed: shred each that is the same\n"
		      "customer's.\n",
				f);
	fputs("\nWhat this means: nothing that the vault ever stored, old versions and backups\n"
	      "included, opens these recordings any more, unless somebody kept a copy of the root\n"
	      "of the keys, or an image of the keeper's memory, from before that epoch.\n"
	      "What this does not prove: that no copy exists. It does not cover recordings that\n"
	      "were played, exported or copied outside the vault, nor what is left of the\n"
	      "plaintext on the spool's disk and in freed memory (recseal(7), The spool), nor a\n"
	      "copy of the root or an image of memory from before, nor the facts that may be kept\n"
	      "(ids, sizes, times, class).\n",
			f);
}
