#!/usr/bin/env python3
"""Fits a line through many dimensions with MPI's allreduce, and goes on bit by bit where it was interrupted.

It speaks Baton's contract (docs/contract.md), and runs without Baton too: `mpirun -np 2 python3 -m mpi4py train.py`.
What it learns is made from the seed: there is nothing to download, and nothing to install but mpi4py.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from array import array

from mpi4py import MPI

SAVED = 85  # the exit code that says: saved, continue me


class Wishes:
    """What Baton asked for. A handler only takes a note: the loop acts on it between two steps."""

    def __init__(self):
        self.save = False
        self.leave = False
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "save", True))
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "leave", True))


class Trainer:
    def __init__(self, options, seed):
        self.options = options
        self.seed = seed
        self.world = MPI.COMM_WORLD
        made = random.Random(seed)
        self.wanted = [made.gauss(0, 1) for _ in range(options.width)]
        self.weights = array("d", [0.0] * options.width)
        self.velocity = array("d", [0.0] * options.width)
        self.step = 0

    def resume(self):
        folder = os.environ.get("BATON_RESUME_FROM", "")
        if folder:
            with open(f"{folder}/state.json", encoding="ascii") as file:
                state = json.load(file)
            self.step = state["step"]
            self.weights = array("d", map(float.fromhex, state["weights"]))
            self.velocity = array("d", map(float.fromhex, state["velocity"]))
        print(f"rank {self.world.rank} of {self.world.size} starts at step {self.step}", flush=True)

    def save(self):
        """Rank 0 saves for all, since all have the same: only the rename makes it a checkpoint."""
        folder = os.environ.get("BATON_CHECKPOINT_DIR", "")
        final = f"{folder}/step-{self.step}"
        if self.world.rank != 0 or not folder or os.path.exists(final):
            return
        os.mkdir(final + ".tmp")
        state = {
            "step": self.step, "weights": [x.hex() for x in self.weights], "velocity": [x.hex() for x in self.velocity],
        }
        with open(f"{final}.tmp/state.json", "w", encoding="ascii") as file:
            json.dump(state, file)
        os.rename(final + ".tmp", final)

    def advance(self, leave):
        """One step; the loss over all ranks, and whether any of them was told to leave.

        Ranks hear signals at different moments. A rank that left on its own would leave the others waiting.
        """
        width, each = self.options.width, self.options.batch // self.world.size
        # Behind the gradient: the loss, and how many want to leave.
        mine = array("d", [0.0] * (width + 2))
        for point in range(each):
            number = (self.step * self.world.size + self.world.rank) * each + point
            made = random.Random(self.seed * 1_000_003 + number)
            x = [made.gauss(0, 1) for _ in range(width)]
            error = sum((w - v) * a for w, v, a in zip(self.weights, self.wanted, x))
            for i in range(width):
                mine[i] += error * x[i]
            mine[width] += error * error
        mine[width + 1] = float(leave)
        told = array("d", mine)
        self.world.Allreduce([mine, MPI.DOUBLE], [told, MPI.DOUBLE], op=MPI.SUM)
        points = each * self.world.size
        for i in range(width):
            self.velocity[i] = 0.9 * self.velocity[i] - self.options.learning_rate * told[i] / points
            self.weights[i] += self.velocity[i]
        self.step += 1
        return told[width] / points, told[width + 1] > 0

    def train(self, wishes, metrics):
        while self.step < self.options.steps:
            began = time.monotonic()
            loss, leave = self.advance(wishes.leave)
            if metrics:
                line = {"step": self.step, "metric": "loss", "value": loss, "time": time.time()}
                print(json.dumps(line), file=metrics, flush=True)
            if wishes.save or leave:
                wishes.save = False
                self.save()
            if leave:
                return SAVED
            time.sleep(max(0, self.options.pace - (time.monotonic() - began)))
        self.save()
        return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64, help="points a step, over all ranks")
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--pace", type=float, default=0, help="seconds that a step takes at least, to have time to look")
    options = parser.parse_args()

    wishes = Wishes()
    trainer = Trainer(options, int(os.environ.get("BATON_SEED", "0")))
    trainer.resume()
    path = os.environ.get("BATON_METRICS", "")
    metrics = open(path, "a", encoding="ascii") if path and trainer.world.rank == 0 else None
    status = trainer.train(wishes, metrics)
    # Before the exit: with -m mpi4py an exit code that is not 0 is an MPI_Abort, unless all is over by then.
    MPI.Finalize()
    return status


if __name__ == "__main__":
    sys.exit(main())
