#!/bin/bash
# Goal: the keeper's memory has a bound and keeps it. While recordings are sealed, played, listed, shredded and expire by the
# thousand, the cache of keeper.db reaches its bound and stays there, and nothing else grows.
# Negative control: 8 KiB that are lost for every 30 recordings are found, and so is a cache that did not reach its bound.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

soak=$BUILD/bench_soak
[ -x "$soak" ] || skip "bench_soak was not built: make check builds it"
"$soak" 3000 150000 >"$vault/flat" 2>"$vault/log" || fail "$(tail -n 4 "$vault/flat")"
! "$soak" 3000 10 8192 >"$vault/leak" 2>"$vault/log" || fail "a leak is not found: $(tail -n 4 "$vault/leak")"
grep -q 'growth of the rest.*MISSED' "$vault/leak" || fail "$(tail -n 4 "$vault/leak")"
! "$soak" 300 10 >"$vault/small" 2>"$vault/log" || fail "a bound that is not reached passes"
echo "PASS: $(tail -n 2 "$vault/flat" | tr '\n' ' ')"
