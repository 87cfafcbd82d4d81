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
# A test waits for an event; the one place where time passes by itself says why. What is to hang sleeps for `infinity`,
# and in SQL for 600 seconds. Of the product these may pause: loops that a bell wakes, back-off, limits, and those who
# look after processes and servers that tell nobody.
pause='(Task|Thread|[cC]lock|time|asyncio)\.sleep|(^|[^._[:alnum:]])u?sleep\(|nanosleep|setTimeout\(|poll\(nil'
pause+='|sleep"?,? *\[?"?[0-9.]|pg_sleep\(([^6]|6[^0])'
may_pause=(
  Tests/TestKit/TestTime.swift
  Sources/APIClient/BatonClient.swift
  Sources/Commands/Lab/DemoFollower.swift Sources/Commands/Support/ # servers that are away, limits
  Sources/Daemon/Loops/ Sources/Daemon/Support/Bell.swift Sources/Daemon/HTTP/StreamRoutes.swift
  Sources/Daemon/Support/ArtifactShelf.swift # a limit
  Sources/Dashboard/Assets/baton.js
  Sources/Lab/Waiting.swift Sources/Lab/Watchdog.swift Sources/Lab/LabWarden.swift Sources/NodeAgent/ProcessTable.swift
  Sources/NodeAgent/UploadLimiter.swift # its pace
  Sources/NodeAgent/Staging/ # peers that have nothing yet
  Sources/ObjectStorage/StoreRetryPolicy.swift Sources/Postgres/Backoff.swift
)
if git grep --untracked -nE "$pause" -- Sources Tests "${may_pause[@]/#/:!}"; then
  complain "the lines above: wait for an event, not for a while"
fi
for script in $(git ls-files '*.sh' .ci/run); do
  bash -n "$script" || complain "$script does not parse"
done
exit $failed
