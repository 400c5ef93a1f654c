#!/usr/bin/env bash
# Tests libhotlink_loader.so from C: usage: test.sh LIBRARY
set -euo pipefail

library=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc=${CC:-cc}

echo 'CHAIN_1 { global: chain_other; local: *; };' > "$work/b.map"
echo 'int chain_other(int n) { return n + 40; }' > "$work/b.c"
"$cc" -O1 -shared -fPIC -Wl,-soname,libchain_b.so -Wl,--version-script="$work/b.map" -o "$work/libchain_b.so" "$work/b.c"
echo 'int chain_other(int); int chain_answer(int n) { return chain_other(n) + 1; }' > "$work/a.c"
"$cc" -O1 -shared -fPIC -Wl,-soname,libchain_a.so '-Wl,-rpath,$ORIGIN' -o "$work/libchain_a.so" "$work/a.c" \
  -L"$work" -lchain_b
"$cc" -std=gnu11 -Wall -Wextra -Werror -O1 -I"$here/../Sources/CHotlinkLoader/include" -o "$work/test" "$here/test.c" -ldl

# Nothing of Swift is needed beside it.
if ldd "$library" | grep -i swift; then echo "test.sh: it needs a Swift runtime" >&2; exit 1; fi
"$work/test" "$library" "$work"
