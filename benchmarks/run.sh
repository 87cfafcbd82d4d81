#!/usr/bin/env bash
# Measures one thing: benchmarks/run.sh NAME [options of baton-bench NAME]. Called by `make bench NAME=...`.
set -euo pipefail
cd "$(dirname "$0")/.."

name=${1:?say which: benchmarks/README.md has them}
shift
if [[ "$name" =~ ^(demo|study|launchers)$ ]] && [ ! -e .build/mnist/mnist_5k.csv ]; then scripts/fetch-mnist.sh .build/mnist; fi
case $name in
  launchers) scripts/python/install.sh .build/python tensorflow mxnet pytorch ;;
  staging*)
    scripts/servers/install.sh .build/servers
    benchmarks/install-peers.sh .build/bench-peers
    ;;
esac
exec .build-bench/release/baton-bench "$name" --bin .build-bench/release --node-bin .build-node/release --migrations migrations \
  --results benchmarks/results "$@"
