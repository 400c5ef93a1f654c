#!/usr/bin/env bash
# Plays the part of a person with an editor: starts the runner on a copy of this example, edits a C, a C++ and a Swift
# unit and one tuned value while it runs, and checks in every single frame that the code is new and the state is not.
#
#   usage: demo.sh PATH-OF-HOTLINK          exit 0: all claims hold; 1: one does not; 2: wrong usage
set -uo pipefail
export LC_ALL=C

[ $# -eq 1 ] && [ -x "$1" ] || { echo "usage: $0 PATH-OF-HOTLINK" >&2; exit 2; }
hotlink=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/hot-plugin.XXXXXX")
out=$work/stdout.log err=$work/stderr.log
runner='' generation='' passed='' summary=''

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else bold='' dim='' green='' red='' plain=''; fi

say()   { printf '%s\n' "$*"; }
claim() { say "  ${green}✓${plain} $*"; }
now()   { local t=$EPOCHREALTIME; echo $(( 10#${t/./} / 1000 )); }                  # milliseconds

fail() {
  say "  ${red}✗ $*${plain}"
  say "    last lines of the runner's stdout ($out):"; tail -n 5 "$out" 2>/dev/null | cut -c1-400 | sed 's/^/      /'
  say "    events:"; grep -E '^\{"event":' "$out" 2>/dev/null | tail -n 5 | cut -c1-600 | sed 's/^/      /'
  say "    its stderr ($err):"; tail -n 15 "$err" 2>/dev/null | sed 's/^/      /'
  exit 1
}

cleanup() {
  if [ -n "$runner" ] && kill -0 "$runner" 2>/dev/null; then kill -KILL "$runner"; wait "$runner" 2>/dev/null; fi
  [ -n "$passed" ] && rm -rf "$work" || say "    kept for a look: $work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

lines() { wc -l < "$out"; }

# Waits for a line that matches $1 below line $2, at most $3 seconds; leaves it in $found.
wait_for() {
  local deadline=$(( $(now) + $3 * 1000 )) dead=''
  while :; do
    kill -0 "$runner" 2>/dev/null || dead=yes                      # look once more after its death
    found=$(tail -n "+$(($2 + 1))" "$out" | grep -E -m1 "$1") && return 0
    [ -n "$dead" ] && fail "the runner ended while waiting for $4"
    tail -n "+$(($2 + 1))" "$out" | grep -qE '^\{"event": ?"[a-z_-]*(refus|reject|fail|error|crash|roll)' &&
      fail "the runner reports trouble while waiting for $4"
    [ "$(now)" -lt "$deadline" ] || fail "waited $3 s for $4, in vain"
    sleep 0.02
  done
}

number_in() { sed -nE "s/.*\"$1\": ?([0-9]+).*/\1/p" <<< "$2"; }

# Whatever the event says about time: an object of stages, or numbers whose name ends in a unit.
times_in() {
  local stages
  stages=$(grep -oE '"(times|timings|stages|[a-z]*(micro|milli|nano)seconds)": ?\{[^}]*\}' <<< "$1")
  [ -n "$stages" ] || stages=$(grep -oE '"[A-Za-z_]*(_ms|_us|_ns|Ms|Us|Ns|seconds|Seconds)": ?[0-9.]+' <<< "$1" | paste -sd ' ')
  tr -d '"' <<< "${stages:-no times in the event}"
}

# change TITLE FILE SED-SCRIPT OLD NEW: edits FILE, rebuilds its object alone, waits for the reload, compares.
change() {
  local title=$1 file=$2 script=$3 old=$4 new=$5 before after start built seen event next
  local object=build/${file%.*}.o from

  say; say "${bold}$title${plain}   $file: ${dim}$script${plain}"
  before=$(grep -E '^frame=.*"$' "$out" | tail -n 1)
  grep -qE "$old" <<< "$before" || fail "before the edit, '$old' is not in: $before"
  cp "$work/$file" "$work/$file.before"
  from=$(lines) start=$(now)
  sed -i -E "$script" "$work/$file"
  cmp -s "$work/$file" "$work/$file.before" && fail "the edit changed nothing in $file"
  make -C "$work" "$object" > "$work/make.log" 2>&1 || { cat "$work/make.log"; fail "make $object"; }
  built=$(now)
  wait_for '^\{"event": ?"reloaded".*\}$' "$from" 20 "the reload of $object"; event=$found
  wait_for "^frame=.*$new.*\"\$" "$from" 5 "a frame with $new"; after=$found seen=$(now)

  say "  ${dim}before${plain} $before"
  say "  ${dim}after ${plain} $after"
  next=$(number_in generation "$event")
  [ -n "$next" ] || fail "no generation number in: $event"
  [ -z "$generation" ] || [ "$next" -eq $((generation + 1)) ] || fail "generation $next came after $generation"
  generation=$next
  claim "generation $generation says $(grep -oE "$new" <<< "$after")"
  summary+=$(printf '  %-13s generation %-3s compiled in %5d ms, seen %4d ms later   %s' \
    "$file" "$generation" $((built - start)) $((seen - built)) "$(times_in "$event")")$'\n'
  sleep 0.4                                                          # let the new code play
}

# ---- start

say "${bold}hot-plugin${plain} in $work"
cp "$here"/*.c "$here"/*.cpp "$here"/*.swift "$here"/*.h "$here"/Makefile "$work"
make -C "$work" -j4 > "$work/make.log" 2>&1 || { cat "$work/make.log"; fail "make"; }
: > "$out"
cd "$work" || exit 1
HOT_PLUGIN_PLAIN=1 HOT_PLUGIN_EVERY=1 "$hotlink" watch build/ --entry tick --hz 60 --json < /dev/null >> "$out" 2> "$err" &
runner=$!
wait_for '^\{"event": ?"started".*\}$' 0 20 "the start"; generation=$(number_in generation "$found")
summary+="  start          $(times_in "$found")"$'\n'
wait_for '^frame=.* score=[1-9].*"$' 0 10 "a first score"
claim "running, process $runner: ${found%% age=*}"

# ---- edit

change 'C: a text' draw.c 's/"edit me while I run"/"edited while it runs"/' 'banner="edit me' 'banner="edited while it runs'
change 'C++: a virtual function of objects made before' sprites.cpp 's/return "comet"/return "meteor"/' \
  'sprite=comet' 'sprite=meteor'
change 'Swift: a protocol requirement of kept objects' palette.swift \
  's/"calm"/"serene"/; s/"merry"/"jolly"/; s/"wild"/"furious"/' 'mood=(calm|merry|wild)' 'mood=(serene|jolly|furious)'
change 'C: a tuned initial value' physics.c 's/^(float gravity = )60\.0f/\115.0f/' 'gravity=60\.0' 'gravity=15\.0'

# ---- stop

say; say "${bold}Stop${plain}"
kill -TERM "$runner"
deadline=$(( $(now) + 10000 ))
while kill -0 "$runner" 2>/dev/null; do
  [ "$(now)" -lt "$deadline" ] || fail "still running 10 s after SIGTERM"
  sleep 0.02
done
wait "$runner"; code=$? runner=''
[ $code -eq 0 ] || [ $code -eq 143 ] || fail "the runner ended with $code"
claim "the runner ended with $code"

# ---- every frame from the first to the last: no call lost or doubled, nothing restarted, each edit took effect once

verdict=$(grep -E '^frame=.*"$' "$out" | awk '
  function bad(what) { print "line " NR ", " what ": " $0; failed = 1; exit }
  {
    for (i = 1; i <= 9; i++) { cut = index($i, "="); v[substr($i, 1, cut - 1)] = substr($i, cut + 1) }
    text = substr($0, index($0, "banner=")); words = v["mood"] ~ /^(calm|merry|wild)$/ ? "old" : "new"
    if (v["ticks"] != v["age"])                      bad("a C++ object is not as old as the program")
    if (v["ticks"] != v["strokes"])                  bad("the Swift counter does not follow the C counter")
    if (NR > 1) {
      if (v["ticks"] != ticks + 1)                   bad("ticks do not go on by one")
      if (v["frame"] + 0 <= frame + 0)               bad("the frame number does not grow")
      if (v["score"] + 0 < score + 0)                bad("the score fell")
      if (v["balls"] != balls)                       bad("the number of balls changed")
      c += text != banner; cpp += v["sprite"] != sprite; swift += words != mood; tuned += v["gravity"] != gravity
    } else first = v["score"]
    ticks = v["ticks"]; frame = v["frame"]; score = v["score"]; balls = v["balls"]
    banner = text; sprite = v["sprite"]; mood = words; gravity = v["gravity"]
  }
  END {
    if (failed) exit 1
    if (c != 1 || cpp != 1 || swift != 1 || tuned != 1) {
      print "each edit should show exactly once; C: " c + 0 ", C++: " cpp + 0 ", Swift: " swift + 0 ", value: " tuned + 0
      exit 1
    }
    if (score + 0 <= first + 0) { print "the score never grew"; exit 1 }
    print NR " frames, score " first " → " score ", " balls " balls throughout"
  }') || fail "$verdict"
claim "state went on in C, C++ and Swift: $verdict"
claim "each of the four edits took effect between two frames, once and for good"
reloads=$(grep -cE '^\{"event": ?"reloaded"' "$out")
[ "$reloads" -eq 4 ] || fail "four edits made $reloads reloads"
claim "four edits, four reloads, one process"

say; say "${bold}Times${plain}"
printf '%s' "$summary"
passed=yes
