#!/usr/bin/env bash
# Checks every member of the C library's archives with `hotlink check --allow-undefined`, and writes what came out as a
# table: how many are accepted, and why each of the others is not. Fails when less than 99 % are accepted.
#
#   usage: scripts/archives.sh HOTLINK TABLE
set -euo pipefail

hotlink=$(realpath "$1")
table=$2
names=(libc.a libm.a libgcc_eh.a)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The archives behind a name: the file itself, or those that it names as a linker script (libm.a).
archives() {
  local file
  file=$(gcc -print-file-name="$1")
  if [ "$(head -c 7 "$file")" = '!<arch>' ]; then
    echo "$file"
  else
    grep -oE '/[^ )]+\.a' "$file" | grep -v mvec
  fi
}

# One member: nothing when it is accepted, else its name and the first line of the reason.
check() {
  local text
  if ! text=$("$hotlink" check --allow-undefined "$1" 2>&1 > /dev/null); then
    printf '%s\t%s\n' "$(basename "$1")" "$(head -n 1 <<< "$text" | sed 's/^error: //')"
  fi
}
export -f check
export hotlink

total=0 accepted=0
{
  echo '# Members of the C library'
  echo
  echo 'Every member of these archives, alone, by `hotlink check --allow-undefined`: accepted, or refused for a reason.'
  echo '`make archives` writes this file.'
  echo
  echo "$(gcc --version | head -n 1); $(ldd --version | head -n 1)."
  echo
  echo '| archive | members | accepted | refused |'
  echo '| --- | --- | --- | --- |'
} > "$work/table"
: > "$work/refused"
for name in "${names[@]}"; do
  mkdir "$work/$name"
  for archive in $(archives "$name"); do (cd "$work/$name" && ar x "$archive"); done
  count=$(find "$work/$name" -name '*.o*' | wc -l)
  find "$work/$name" -name '*.o*' -print0 | sort -z |
    xargs -0 -P "$(nproc)" -I{} bash -c 'check "$1"' _ {} > "$work/$name.refused"
  refused=$(wc -l < "$work/$name.refused")
  echo "| $name | $count | $((count - refused)) | $refused |" >> "$work/table"
  sort "$work/$name.refused" | sed "s/^/| $name | /; s/\t/ | /; s/\$/ |/" >> "$work/refused"
  total=$((total + count)) accepted=$((accepted + count - refused))
done
percent=$(awk -v a="$accepted" -v t="$total" 'BEGIN { printf "%.2f", 100 * a / t }')
{
  cat "$work/table"
  echo "| all | $total | $accepted | $((total - accepted)) |"
  echo
  echo "$percent % are accepted."
  if [ -s "$work/refused" ]; then
    echo
    echo '| archive | member | reason |'
    echo '| --- | --- | --- |'
    cat "$work/refused"
  fi
} > "$table"
echo "archives: $accepted of $total members accepted ($percent %), see $table" >&2
awk -v p="$percent" 'BEGIN { exit p < 99 }'
