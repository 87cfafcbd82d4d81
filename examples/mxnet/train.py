#!/usr/bin/env python3
"""Trains a small network with MXNet's `dist_sync` or `dist_async`, and goes on where it was interrupted.

It speaks Baton's contract (docs/contract.md). What it learns is what another network, made from the seed, says about
random points: there is nothing to download.
"""

import argparse
import json
import os
import signal
import sys
import time

import mxnet as mx  # a scheduler or server goes no further than this line
import numpy as np
from mxnet import autograd, gluon

SAVED = 85  # the exit code that says: saved, continue me
AGREED = 1 << 20  # the key of what ranks agree on; the trainer has those from 0 on


def leave_alone(kind, error, trace):
    """What MXNet does at a process's end waits for all the others: one that failed has to leave without."""
    sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    os._exit(1)


sys.excepthook = leave_alone


class Wishes:
    """What Baton asked for. A handler only takes a note: the loop acts on it between two steps."""

    def __init__(self):
        self.save = False
        self.leave = False
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "save", True))
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "leave", True))


def network(seed):
    """The same on every node, since only the seed decides."""
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(64, activation="tanh", in_units=16), gluon.nn.Dense(1, in_units=64))
    net.initialize()
    chance = np.random.default_rng(seed)
    for parameter in net.collect_params().values():
        scale = np.float32(parameter.shape[-1] ** -0.5 if len(parameter.shape) > 1 else 0)
        parameter.set_data(mx.nd.array(chance.standard_normal(parameter.shape, np.float32) * scale))
    return net


class Trainer:
    def __init__(self, options, seed):
        self.options = options
        self.seed = seed
        self.rank = int(os.environ.get("RANK", "0"))
        self.ranks = int(os.environ.get("WORLD_SIZE", "1"))
        self.store = mx.kv.create(f"dist_{options.mode}")
        self.teacher = network(seed + 1)
        self.net = network(seed)
        self.step = 0

    def resume(self):
        folder = os.environ.get("BATON_RESUME_FROM", "")
        if folder:
            self.net.load_parameters(f"{folder}/weights.params")
            with open(f"{folder}/state.json", encoding="ascii") as state:
                self.step = json.load(state)["step"]
        print(f"rank {self.rank} of {self.ranks} starts at step {self.step}", flush=True)
        parameters, rate = self.net.collect_params(), {"learning_rate": self.options.learning_rate}
        if self.options.mode == "async":
            # Servers have the optimizer, and change the weights with each gradient that comes. Nobody could save its
            # state, but plain SGD has none.
            self.trainer = gluon.Trainer(parameters, "sgd", rate, kvstore=self.store, update_on_kvstore=True)
            return
        # Servers only add up; each rank has the optimizer, and the same state of it.
        self.trainer = gluon.Trainer(parameters, "sgd", {**rate, "momentum": 0.9}, kvstore=None)
        if folder:
            self.trainer.load_states(f"{folder}/optimizer.states")
        for key, parameter in enumerate(parameters.values()):
            self.store.init(key, mx.nd.zeros(parameter.shape))
        self.store.init(AGREED, mx.nd.zeros((2,)))

    def save(self):
        """Rank 0 saves for all: only the rename makes it a checkpoint."""
        folder = os.environ.get("BATON_CHECKPOINT_DIR", "")
        final = f"{folder}/step-{self.step}"
        if self.rank != 0 or not folder or os.path.exists(final):
            return
        os.mkdir(final + ".tmp")
        self.net.save_parameters(f"{final}.tmp/weights.params")
        if self.options.mode == "sync":
            self.trainer.save_states(f"{final}.tmp/optimizer.states")
        with open(f"{final}.tmp/state.json", "w", encoding="ascii") as state:
            json.dump({"step": self.step}, state)
        os.rename(final + ".tmp", final)

    def batch(self):
        """This rank's part of the next batch, which depends on the seed and the step alone."""
        chance = np.random.default_rng([self.seed, self.step])
        points = chance.standard_normal((self.options.batch, 16), np.float32)[self.rank :: self.ranks]
        points = mx.nd.array(points)
        return points, self.teacher(points)

    def advance(self, leave):
        """One step; the loss, and whether to leave.

        With dist_sync all ranks wait for each other in every step, and hear signals at different moments: they agree by
        a sum. With dist_async nobody waits for anybody.
        """
        points, wanted = self.batch()
        with autograd.record():
            loss = ((self.net(points) - wanted) ** 2).mean()
        loss.backward()
        self.step += 1
        if self.options.mode == "async":
            self.trainer.step(1)
            return float(loss.asscalar()), leave
        told = mx.nd.concat(loss, mx.nd.array([float(leave)]), dim=0)
        sums = [parameter.grad() for parameter in self.net.collect_params().values()]
        for key, one in [*enumerate(sums), (AGREED, told)]:
            self.store.push(key, one)
        for key, one in [*enumerate(sums), (AGREED, told)]:
            self.store.pull(key, out=one)
        self.trainer.update(self.ranks)
        found = told.asnumpy()
        return float(found[0]) / self.ranks, found[1] > 0

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
    parser.add_argument("--mode", choices=["sync", "async"], default="sync")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=256, help="points a step, over all ranks")
    parser.add_argument("--learning-rate", type=float, default=0.02)
    parser.add_argument("--pace", type=float, default=0, help="seconds that a step takes at least, to have time to look")
    options = parser.parse_args()

    wishes = Wishes()
    trainer = Trainer(options, int(os.environ.get("BATON_SEED", "0")))
    trainer.resume()
    path = os.environ.get("BATON_METRICS", "")
    metrics = open(path, "a", encoding="ascii") if path and trainer.rank == 0 else None
    code = trainer.train(wishes, metrics)
    if code == SAVED:
        # Nobody leaves before all have what they need of the servers: those end with the ranks of their node. What
        # MXNet does at a process's end needs the scheduler, which may be gone by then.
        trainer.store._barrier()
        sys.stdout.flush()
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
