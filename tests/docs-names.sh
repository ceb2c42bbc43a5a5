#!/usr/bin/env bash
# Goal: the documents name only what is there: functions, files, test programs and scenarios that the
# sources have. A document whose names went stale would argue about another program.
# Negative control: a document with a made-up name of each kind is refused.
set -euo pipefail
top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd -P)

sources() {
	find "$top"/{base,cli,crypto,daemon,storage,tests} -name '*.[ch]' -o -name '*.sh'
}

# missing_names FILE: what is named in it and is nowhere, one a line.
# shellcheck disable=SC2016 # backquotes of Markdown
missing_names() {
	local name
	set +e # a kind of which nothing is named
	grep -oE '`[a-z_0-9]+\(\)`' "$1" | tr -d '`()' | sort -u | while read -r name; do
		grep -rqE "\b$name\(" --include='*.[ch]' "$top"/{base,cli,crypto,daemon,storage,tests} ||
			echo "function $name()"
	done
	grep -oE '`[a-z_0-9/-]+\.(c|h|sh)`' "$1" | tr -d '`' | sort -u | while read -r name; do
		grep -qE "(^|/)$name\$" <<<"$all" || echo "file $name"
	done
	grep -oE '`test_[a-z_0-9]+`' "$1" | tr -d '`' | sort -u | while read -r name; do
		grep -rqE "\b$name\b" --include='*.c' --include='*.inc' "$top/tests" || echo "test $name"
	done
	# a distribution has no scenarios
	grep -qE "/scenario/[0-9]" <<<"$all" || return 0
	grep -oE '\bscenarios? [0-9]{2}\b' "$1" | grep -oE '[0-9]{2}' | sort -u | while read -r name; do
		grep -qE "/scenario/$name-" <<<"$all" || echo "scenario $name"
	done
	return 0
}

all=$(sources)
status=0
for document in "$top"/docs/*.md "$top"/README.md "$top"/CONTRIBUTING.md; do
	missing=$(missing_names "$document")
	[ -z "$missing" ] || {
		printf '%s names what is not there:\n%s\n' "${document#"$top"/}" "$missing"
		status=1
	}
done

bad=$(mktemp)
trap 'rm -f "$bad"' EXIT
# shellcheck disable=SC2016 # backquotes of Markdown
printf '`no_such_function()` `no/such_file.c` `test_no_such_program` scenario 00\n' >"$bad"
expected=4
grep -qE "/scenario/[0-9]" <<<"$all" || expected=3
[ "$(missing_names "$bad" | wc -l)" -eq $expected ] || {
	echo "the check does not see names that are made up"
	status=1
}
exit $status
