#include "cli/shred_left.h"

#include <string.h>

#include "base/cleanup.h"
#include "cli/field.h"
#include "cli/output.h"

static const char *part_label(bool taken, bool done)
{
	return taken && done ? "part destroyed" : taken ? "part, too" : "part NOT taken";
}

static void print_parts(const json_t *object, bool done, FILE *f)
{
	json_t *part;
	size_t i;
	bool left = false;

	json_array_foreach(field_array(object, "parts"), i, part)
	{
		const char *id = field_text(part, "id"), *at = field_text(part, "recorded_at");
		char bytes[OUTPUT_BYTES];
		bool taken = field_true(part, "taken");
		output_bytes(field_int(part, "plaintext_bytes", 0), bytes);
		output_factf(f, part_label(taken, done), "%s, recorded %s, %s", id ? id : "?",
				at ? at : "?", bytes);
		left |= !taken;
	}
	if (left)
		output_fact(f, "", "these were sealed from the same file; --with-parts takes them");
	if (json_is_false(json_object_get(object, "parts_complete")))
		output_fact(f, "more parts", "there may be others: not all could be looked at");
}

static void print_spool_files(const json_t *spool, const char *name, FILE *f)
{
	const json_t *entries = field_array(spool, "entries");
	int64_t files = field_int(spool, "files", 0);
	json_t *entry;
	size_t i;

	json_array_foreach(entries, i, entry)
	{
		const char *path = field_text(entry, "path"), *why = field_text(entry, "why");
		output_factf(f, "NOT covered", "spool %s: %s (%s)", name, path ? path : "?",
				why ? why : "?");
	}
	if (files > (int64_t)json_array_size(entries))
		output_factf(f, "NOT covered", "spool %s: and %lld more files", name,
				(long long)(files - (int64_t)json_array_size(entries)));
}

static void print_spool(const json_t *spool, FILE *f)
{
	const char *name = field_text(spool, "name"), *path = field_text(spool, "path");
	const char *why = field_text(spool, "why");
	int64_t unknown = field_int(spool, "unknown", 0), files = field_int(spool, "files", 0);
	char count[OUTPUT_BYTES];

	if (!name)
		name = "(any)";
	if (files > 0) {
		output_count(files, "file", count);
		output_factf(f, "plaintext", "%s in spool %s%s%s: this shred does not reach it",
				count, name, path ? ", " : "", path ? path : "");
		print_spool_files(spool, name, f);
	}
	if (unknown > 0) {
		output_count(unknown, "file", count);
		output_factf(f, "plaintext", "%s in spool %s: nobody can tell whose", count, name);
	}
	if (!field_true(spool, "looked"))
		output_factf(f, "not looked at", "spool %s: %s", name,
				why ? why : "no reason given");
}

void shred_left_print(const json_t *object, const char *kind, bool done, FILE *f)
{
	const json_t *spools = field_array(object, "spools");
	int64_t quarantined = field_int(object, "quarantined", 0), files = 0, unlooked = 0;
	char count[OUTPUT_BYTES];
	json_t *spool;
	size_t i;

	print_parts(object, done, f);
	json_array_foreach(spools, i, spool)
	{
		print_spool(spool, f);
		files += field_int(spool, "files", 0);
		unlooked += !field_true(spool, "looked");
	}
	if (json_array_size(spools) > 0 && files == 0 && unlooked == 0)
		output_factf(f, "plaintext", "none found of this %s in the spools", kind);
	if (quarantined > 0 && strcmp(kind, "account") == 0) {
		output_count(quarantined, "recording", count);
		output_factf(f, "not reached",
				"%s in quarantine: shred those of this account by id", count);
	}
}
