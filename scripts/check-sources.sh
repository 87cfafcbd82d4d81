#!/usr/bin/env bash
# What the formatter does not see: files that grew past one subject, shells between us and a program, forgotten notes.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
complain() {
  echo "$1" >&2
  failed=1
}

while read -r lines file; do
  [ "$file" = total ] || [ "$lines" -le 450 ] || complain "$file has $lines lines: what is it really two of?"
done < <(git ls-files '*.swift' | xargs wc -l)

if git grep -nE 'try!|fatalError\(|TODO|FIXME' -- 'Sources/*.swift'; then
  complain "the lines above: handle the error, or finish the thought"
fi
for script in $(git ls-files '*.sh' .ci/run); do
  bash -n "$script" || complain "$script does not parse"
done
exit $failed
