#!/usr/bin/env python3
"""examples/python/train.py, with one ingredient left out of its checkpoint: the one that FORGET names.

Parts are left out of what is saved, random streams of what is loaded. The number of ranks and the version of a library
are no part of a checkpoint: of those, a resumed process has another.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/python"))
import torch

import baton
import train

PARTS = {"weights": "model", "optimizer": "optimizer", "schedule": "scheduler", "data_order": "sampler", "loss_scale": "scaler"}


def leave_out(what):
    if what in PARTS:
        pack, resume = baton.Training.pack, baton.Training.resume
        baton.Training.pack = lambda self: {name: part for name, part in pack(self).items() if name != PARTS[what]}
        baton.Training.resume = lambda self: resume(self, partial=True)
    elif what.startswith("rng."):
        streams = baton.Training.set_streams
        baton.Training.set_streams = lambda self, saved: streams(
            self, {name: state for name, state in saved.items() if name != what[4:]})
    elif what == "chance" and baton.resume_path():
        baton.random.uniform = baton.random.SystemRandom().uniform
    elif what == "world_size" and baton.resume_path():
        baton.world_size = lambda: 2
    elif what == "library" and baton.resume_path():
        libraries, item = baton.libraries, torch.Tensor.item
        baton.libraries = lambda: {**libraries(), "torch": "another one"}
        torch.Tensor.item = lambda self: item(self) * (1 + 1e-12)  # which adds up in another order


if __name__ == "__main__":
    leave_out(os.environ.get("FORGET", ""))
    sys.exit(train.main())
