#!/usr/bin/env bash
# tests/fuzz/run.sh: a finding is named and ends with 1; without one it ends with 0. Programs that only behave like
# libFuzzer stand in for the targets.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

fail() {
	echo "test-run: $*" >&2
	exit 1
}

# The options end before the two corpus folders, of which libFuzzer writes to the first.
cat >"$build/fuzz_sound" <<'EOF'
#!/bin/sh
for argument; do
	case $argument in -*) ;; *) break ;; esac
done
[ -d "$argument" ] || exit 1
echo "stat::number_of_executed_units: 4321"
EOF
cat >"$build/fuzz_broken" <<'EOF'
#!/bin/sh
for argument; do
	case $argument in -artifact_prefix=*) prefix=${argument#*=} ;; esac
done
echo bad >"${prefix}crash-1"
echo "fuzz_broken.c:7: does not hold: len > 0"
echo "artifact_prefix='$prefix'; Test unit written to ${prefix}crash-1"
exit 77
EOF
chmod +x "$build"/fuzz_*

status=0
said=$(bash "$here/run.sh" "$build" 1 sound) || status=$?
[ $status -eq 0 ] || fail "ends with $status though nothing was found: $said"
[[ $said == *sound*4321* ]] || fail "does not report the executions: $said"

status=0
said=$(bash "$here/run.sh" "$build" 1 sound broken sound) || status=$?
[ $status -eq 1 ] || fail "ends with $status though there was a finding: $said"
[[ $said == *"$build/fuzz_broken $build/findings/broken/crash-1"* ]] || fail "does not say how to repeat it: $said"
[[ $said == *"does not hold: len > 0"* ]] || fail "does not say what was found: $said"

status=0
bash "$here/run.sh" "$build" 1 nowhere 2>/dev/null || status=$?
[ $status -eq 2 ] || fail "ends with $status for a target that is not there"
