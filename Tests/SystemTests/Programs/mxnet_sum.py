#!/usr/bin/env python3
"""Adds up over all workers by MXNet's `dist_sync`: says what came out, and fails where it is not what it has to be.

In the roles of scheduler and server it goes no further than the import, which ends with the last worker.
"""

import sys

import mxnet as mx

store = mx.kv.create("dist_sync")
shape = (2, 3)
store.init("sum", mx.nd.zeros(shape))
for step in range(1, 6):
    store.push("sum", mx.nd.ones(shape) * step * (store.rank + 1))
    found = mx.nd.zeros(shape)
    store.pull("sum", out=found)
    expected = step * store.num_workers * (store.num_workers + 1) // 2
    if (found.asnumpy() != expected).any():
        sys.exit(f"step {step}: {found.asnumpy()} is not {expected}")
print(f"worker {store.rank} of {store.num_workers}: {expected}", flush=True)
