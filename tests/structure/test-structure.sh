#!/bin/bash
# Goal: the tree keeps the rules of CONTRIBUTING.md that can be read from its text: names that stand in one
# file, exported names that begin with their file's, includes in the order of the floors and without circles,
# no long lines or files, no file without a word of what it does. Negative controls: a small tree that keeps
# them all passes, and one that breaks a single rule is reported, for every rule.
set -u

srcdir=$(cd "${srcdir:-.}" && pwd) || exit 1
command -v python3 >/dev/null || {
	echo "SKIP: python3 is missing (Debian package python3)"
	exit 77
}
work=$(mktemp -d "${TMPDIR:-/tmp}/recseal-structure.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

structure() {
	python3 "$srcdir/tests/structure/structure.py" "$@" 2>&1
}

# A function as clang-format leaves it: its signature, and perhaps a line of its body.
put_function() {
	printf '\n%s\n{\n\t%s;\n}\n' "$1" "${2:-return 0}"
}

# A small tree that keeps every rule: a header and its code, a part without a header, and two folders of
# a daemon, one above the other.
make_tree() {
	local keys=$1/daemon/keeper/keys vault=$1/daemon/keeper/vault
	mkdir -p "$1/base" "$keys" "$vault"
	printf '#pragma once\n\nint clock_now(void);\nint clock_parse(void);\n' >"$1/base/clock.h"
	{
		printf '#include "base/clock.h"\n'
		put_function 'static int clock_read(void)'
		put_function 'int clock_now(void)' 'return clock_read()'
	} >"$1/base/clock.c"
	{
		printf '/* The words of a time. */\n#include "base/clock.h"\n'
		put_function 'int clock_parse(void)' 'return 0 /* midnight */'
	} >"$1/base/clock_parse.c"
	printf '#pragma once\n\nint key_open(void);\n' >"$keys/keys.h"
	{
		printf '#include "daemon/keeper/keys/keys.h"\n\n#include "base/clock.h"\n'
		put_function 'int key_open(void)' 'return clock_now()'
	} >"$keys/keys.c"
	printf '#pragma once\n\n#include "daemon/keeper/keys/keys.h"\n\nint vault_open(void);\n' >"$vault/vault.h"
	{
		printf '#include "daemon/keeper/vault/vault.h"\n'
		put_function 'int vault_open(void)' 'return key_open()'
	} >"$vault/vault.c"
	cat >"$1/floors" <<-FLOORS
		base:
		daemon/keeper/keys: base
		daemon/keeper/vault: daemon/keeper/keys
	FLOORS
}

check_tree() {
	structure check --root "$1" --floors "$1/floors"
}

# A tree with one offence, made by a function that is called within it; then what the check must say of it,
# a pattern per line, and nothing else.
expect() {
	local tree=$work/$1 said status wanted
	make_tree "$tree"
	(cd "$tree" && "$1") || fail "negative control $1: the tree cannot be made"
	said=$(check_tree "$tree")
	status=$?
	shift
	[ $status -eq 1 ] || fail "negative control ${tree##*/}: status $status: $said"
	[ "$(grep -c . <<<"$said")" -eq $# ] || fail "negative control ${tree##*/}: not $# offences: $said"
	for wanted in "$@"; do
		grep -Eq "$wanted" <<<"$said" || fail "negative control ${tree##*/}: no \"$wanted\" in: $said"
	done
}

said=$(structure check --root "$srcdir") || fail "the tree breaks rules of CONTRIBUTING.md:
$said"

make_tree "$work/good"
said=$(check_tree "$work/good") || fail "a tree that keeps all rules is reported: $said"
[ -z "$said" ] || fail "a tree that keeps all rules has something said of it: $said"

same_static() {
	put_function 'static int clock_read(void)' >>daemon/keeper/keys/keys.c
}
expect same_static '^base/clock.c:3: static clock_read\(\) .* daemon/keeper/keys/keys.c' \
	'^daemon/keeper/keys/keys.c:10: static clock_read\(\) .* base/clock.c'

static_and_inline() {
	put_function 'static inline int clock_read(void)' >>daemon/keeper/keys/keys.h
}
expect static_and_inline '^base/clock.c:3: static clock_read' '^daemon/keeper/keys/keys.h:5: static clock_read'

static_and_exported() {
	put_function 'static int key_open(void)' >>base/clock_parse.c
}
expect static_and_exported '^base/clock_parse.c:9: static key_open\(\) .* daemon/keeper/keys/keys.c'

foreign_name() {
	echo 'int read_time(void);' >>base/clock.h
	put_function '__attribute__((format(printf, 1, 2))) int read_time(const char *format,
	...)' >>base/clock.c
}
expect foreign_name '^base/clock.c:13: exported read_time\(\) must begin with clock_'

included_twice() {
	sed -i '1a #include "base/clock.h"' base/clock.c
}
expect included_twice '^base/clock.c:2: "base/clock.h" is included at line 1'

long_line() {
	printf '/*\t%089d */\n' 0 >>base/clock.h # 8 columns before, 3 after
	printf '/*\t%090d */\n' 0 >>base/clock.h
}
expect long_line '^base/clock.h:6: the line has 101 columns'

long_file() {
	yes '' | head -n 497 >>base/clock.h # 501 with the four that are there
}
expect long_file '^base/clock.h:501: the file has 501 lines'

no_opening() {
	sed -i 1d base/clock_parse.c
}
expect no_opening '^base/clock_parse.c:1: the file has no header of its own'

upwards() {
	sed -i '1a #include "daemon/keeper/keys/keys.h"' base/clock.c
}
expect upwards '^base/clock.c:2: base may not include from daemon/keeper/keys'

upwards_disguised() {
	mkdir daemon/keeper/root
	printf '#pragma once\n' >daemon/keeper/root/root.h
	echo 'daemon/keeper/root: daemon/keeper/vault' >>floors
	sed -i '1a #include "../root/root.h"' daemon/keeper/vault/vault.c
}
expect upwards_disguised '^daemon/keeper/vault/vault.c:2: daemon/keeper/vault may not include from daemon/keeper/root'

homeless() {
	mkdir crypto
	printf '#pragma once\n' >crypto/hkdf.h
}
expect homeless '^crypto/hkdf.h:1: crypto is not in '

empty_floor() {
	echo 'storage: base' >>floors
}
expect empty_floor 'floors:4: there are no sources in storage'

floors_in_circle() {
	sed -i 's/^base:$/& daemon\/keeper\/vault/' floors
}
expect floors_in_circle 'floors:1: base, daemon/keeper/keys, daemon/keeper/vault are above each other'

floors_unreadable() {
	echo 'base' >>floors
}
expect floors_unreadable 'floors:4: write "folder: folders'

# By way of a part: vault_open.c has no header, so it is of vault.h.
circle() {
	printf '#pragma once\n\n#include "daemon/keeper/vault/vault.h"\n' >daemon/keeper/vault/tally.h
	{
		printf '/* Opens it. */\n#include "daemon/keeper/vault/tally.h"\n'
		put_function 'int vault_start(void)'
	} >daemon/keeper/vault/vault_open.c
	echo 'int vault_start(void);' >>daemon/keeper/vault/vault.h
}
expect circle '^daemon/keeper/vault/tally.h:3: circle of includes tally > vault > tally .*vault_open.c:2'

# Comments, strings and directives are no code.
innocent() {
	{
		printf '\n/*\nstatic int clock_read(void)\n{\n}\n#include "base/clock.h"\n*/\n'
		printf '#define PLANT(name) \\\nint name(void) \\\n{ \\\n}\n'
		put_function 'const char *key_text(void)' 'return "/* #include \\" // no comment"'
	} >>daemon/keeper/keys/keys.c
}
make_tree "$work/innocent"
(cd "$work/innocent" && innocent)
echo 'const char *key_text(void);' >>"$work/innocent/daemon/keeper/keys/keys.h"
said=$(check_tree "$work/innocent") || fail "comments, strings and macros are taken for code: $said"

# Two branches may include the same header.
make_tree "$work/branches"
printf '#if A\n#include <a.h>\n#else\n#include <a.h>\n#endif\n' >>"$work/branches/base/clock.h"
said=$(check_tree "$work/branches") || fail "two branches may not include a header: $said"

mkdir "$work/nothing"
structure check --root "$work/nothing" --floors "$work/good/floors" >/dev/null &&
	fail "negative control: a tree without sources passes"

# The figures of the small tree, by hand.
said=$(structure figures --root "$work/good")
for wanted in 'Exported functions: 4; not named for their file: 1, nor for their header: 0' \
	'Static names in two .c files or more: 0' 'Functions: 5, median 4 lines' \
	'without a header of their own: 1; of them without an opening comment: 0' \
	'1 of     5  20.0 %'; do
	grep -Fq "$wanted" <<<"$said" || fail "the figures lack \"$wanted\": $said"
done

[ $failures -eq 0 ] && echo "names, sizes, floors and circles are in order"
[ $failures -eq 0 ]
