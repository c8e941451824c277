#!/usr/bin/env bash
# A hunt in three slices, numbered as Slurm and Kubernetes do, comes to the same result as one run of all the seeds.
# usage: hunt_test.sh RAFTKV_SIM SOURCE_DIR
set -euo pipefail

RAFTKV_SIM=$1
slice=$2/scripts/hunt/slice
export RAFTKV_SIM FIRST_SEED=11 SEEDS_PER_SLICE=5 JOBS=2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OUT=$work/hunt
short=(--duration 2s)

fail() {
  echo "hunt_test: $*" >&2
  exit 1
}

for script in build slice hunt.sbatch; do bash -n "$2/scripts/hunt/$script"; done
"$slice" "${short[@]}" >/dev/null 2>&1 && fail "a slice without a number runs"
RAFTKV_SIM=$work/none SLICE=0 "$slice" >"$work/said" 2>&1 && fail "a slice without a program runs"
grep -q 'scripts/hunt/build' "$work/said" || fail "it does not say where the program comes from"
SLURM_ARRAY_TASK_ID=0 "$slice" "${short[@]}" >/dev/null
JOB_COMPLETION_INDEX=2 "$slice" "${short[@]}" >/dev/null

# The one in the middle is missing, and that is said.
"$RAFTKV_SIM" merge "$OUT"/slice-*.json | grep -q '^not run: seeds 16..20$' || fail "the gap is not named"
(cd "$2" && SLURM_ARRAY_TASK_ID=1 SLURM_CPUS_PER_TASK=1 bash scripts/hunt/hunt.sbatch "${short[@]}" >/dev/null)

# All but the times.
counts() { grep -v '^swarm' "$1" && grep -oP '^swarm: .*(?= wall)' "$1"; }
"$RAFTKV_SIM" merge --marks --json "$work/all.json" "$OUT"/slice-*.json >"$work/merged"
"$RAFTKV_SIM" swarm --seeds 11..25 --jobs 1 "${short[@]}" --marks >"$work/whole"
diff <(counts "$work/merged") <(counts "$work/whole") || fail "the parts are not the whole"

# What was merged merges; what is counted already does not.
"$RAFTKV_SIM" merge "$work/all.json" >/dev/null || fail "the result of merge is no result"
"$RAFTKV_SIM" merge "$work/all.json" "$OUT"/slice-00001.json >/dev/null 2>"$work/said" && fail "seeds count twice"
grep -q 'seed 16 is in two parts' "$work/said" || fail "it does not say which seed"
[[ $("$RAFTKV_SIM" merge "$work/whole" >/dev/null 2>&1 || echo $?) == 2 ]] || fail "no exit code for what is no result"
"$RAFTKV_SIM" swarm --seeds 1..1 --duration 10ms --every-mark >"$work/said" && fail "no mark was missed"
grep -q "^no seed reached the mark 'chunk came early'" "$work/said" || fail "the marks that were missed have no names"
