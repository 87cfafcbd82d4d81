#!/usr/bin/env bash
# Runs the tests that were built, group after group: each group starts servers of its own, and two cores are shared.
# With arguments, only the groups that are named.
set -uo pipefail
cd "$(dirname "$0")/.."

groups=(
  'values=Domain|Wire|Scheduling|JobFile|Launching|Dashboard|Exporting|Daemon|Commands|ReferenceTrainer'
  'objects=ObjectStorage' 'postgres=Postgres' 'store=Store' 'ssh=SSH' 'agent=NodeAgent' 'lab=Lab' 'system=System'
)
# A crash of a test process is a failure; its long stack trace on a busy machine helps nobody.
export SWIFT_BACKTRACE=${SWIFT_BACKTRACE:-color=no}

for name in "$@"; do
  [[ " ${groups[*]} " == *" $name="* ]] || { echo "there is no group '$name': ${groups[*]%%=*}" >&2; exit 64; }
done
said=$(mktemp)
trap 'rm -f "$said"' EXIT
failed=()
for group in "${groups[@]}"; do
  name=${group%%=*}
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
  echo "== $name"
  # Each of the agent's tests starts daemons: all at once they would wait for one another longer than they mean to.
  width=$([ "$name" = agent ] && echo 12 || echo "")
  SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=$width swift test --skip-build --filter "^(${group#*=})Tests\\." 2>&1 | tee -a "$said" || failed+=("$name")
done
# What was not looked at is easily overlooked among what was.
if grep ' skipped' "$said" >&2; then
  echo "the tests above were skipped, for the reasons above" >&2
fi
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}; run one group again with scripts/test.sh NAME" >&2
  exit 1
fi
