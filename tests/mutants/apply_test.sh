#!/usr/bin/env bash
# Every mutant fits the sources as they are; one that has moved, or whose neighbourhood has changed, is refused.
# usage: apply_test.sh SOURCE_DIR
set -euo pipefail

source_dir=$1
apply=$source_dir/tests/mutants/apply
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "apply_test: $*" >&2
  exit 1
}

for patch in "$source_dir"/tests/mutants/*.patch; do
  "$apply" --dry-run "$source_dir" "$patch" || fail "$(basename "$patch") has to be made anew"
done

# Two functions with the same lines; the mutant is of the second one, and takes its check away.
function_of() { printf 'int %s(int x) {\n  prepare();\n  if (x < 0) return 0;\n  finish();\n}\n' "$1"; }
lines() { for ((i = 0; i < $1; ++i)); do echo "int unused_$2_$i;"; done; }
mkdir "$work/tree"
file=$work/tree/a.cc
cat >"$work/second.patch" <<'PATCH'
--- a/a.cc
+++ b/a.cc
@@ -37,4 +37,3 @@
   prepare();
-  if (x < 0) return 0;
   finish();
 }
PATCH
tree() { # tree LINES_BEFORE LINES_BETWEEN SECOND_FUNCTION
  { lines "$1" a && function_of first && lines "$2" b && printf '%s\n' "$3"; } >"$file"
  cp "$file" "$work/before"
}
same() { cmp -s "$file" "$work/before"; }
second=$(function_of second)

tree 0 30 "$second"
"$apply" --dry-run "$work/tree" "$work/second.patch" || fail "refuses a mutant that fits"
same || fail "a dry run changes something"
"$apply" "$work/tree" "$work/second.patch" || fail "refuses a mutant that fits"
[[ $(grep -c 'x < 0' "$file") == 1 ]] || fail "does not apply it"
sed -n 1,5p "$file" | grep -q 'x < 0' || fail "applies it to the first function"

tree 10 30 "$second"
"$apply" "$work/tree" "$work/second.patch" || fail "refuses a mutant that has moved by 10 lines"

refuses() {
  local said
  said=$("$apply" "$work/tree" "$work/second.patch" 2>&1) && fail "applies a mutant $1"
  grep -q "$2" <<<"$said" || fail "says of a mutant $1: $said"
  same || fail "changes something with a mutant $1"
}
tree 0 60 "$second"
refuses "that has moved far" 'moved by 30 lines'
tree 0 30 "int second(int x) { return x; }"
refuses "whose line is in another function only" 'moved by -35 lines'
tree 0 30 "${second/finish/end}"
sed -i '0,/finish/s//end/' "$file" && cp "$file" "$work/before"
refuses "whose neighbourhood has changed" FAILED
rm "$file" "$work/before" && touch "$work/tree/b.cc"
said=$("$apply" "$work/tree" "$work/second.patch" 2>&1) && fail "applies a mutant to no file"
grep -q 'does not fit' <<<"$said" || fail "says of a file that is gone: $said"
