#!/usr/bin/env python3
"""Trains a small network with JAX over all processes, and goes on bit by bit where it was interrupted.

It speaks Baton's contract (docs/contract.md), and runs without Baton too, alone: `python3 train.py --steps 100`.
What it learns is what another network, made from the seed, says about random points: there is nothing to download.
"""

import argparse
import json
import os
import signal
import sys
import time

import numpy as np

SAVED = 85  # the exit code that says: saved, continue me


def leave_alone(kind, error, trace):
    """What JAX does at a process's end waits for all the others: one that failed has to leave without."""
    sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    os._exit(1)


sys.excepthook = leave_alone


class Wishes:
    """What Baton asked for. A handler only takes a note: the loop acts on it between two steps."""

    def __init__(self):
        self.save = False
        self.leave = False
        self.listen()

    def listen(self):
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "save", True))
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "leave", True))


# Before anything takes long: the lease may end while the processes still look for each other.
wishes = Wishes()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jax.sharding import Mesh, NamedSharding, PartitionSpec  # noqa: E402


def connect():
    """JAX itself reads the address of the coordinator only: the others are passed on."""
    if "JAX_NUM_PROCESSES" not in os.environ:
        return
    if os.environ.get("CUDA_VISIBLE_DEVICES", "") == "":
        # Processors add up over the network by gloo.
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        num_processes=int(os.environ["JAX_NUM_PROCESSES"]), process_id=int(os.environ["JAX_PROCESS_ID"])
    )
    # JAX has just taken SIGTERM for itself.
    wishes.listen()


def network(seed):
    """Weights and biases, layer by layer, as NumPy has them: the same in every process."""
    chance = np.random.default_rng(seed)
    sizes = [16, 64, 64, 1]
    return [
        (chance.standard_normal((rows, columns), np.float32) / np.float32(rows**0.5), np.zeros(columns, np.float32))
        for rows, columns in zip(sizes, sizes[1:])
    ]


def predict(layers, points):
    for weights, biases in layers[:-1]:
        points = jnp.tanh(points @ weights + biases)
    weights, biases = layers[-1]
    return points @ weights + biases


def loss_of(layers, points, wanted):
    return jnp.mean((predict(layers, points) - wanted) ** 2)


def adam(layer, gradient, moment, square, count, rate):
    moment = 0.9 * moment + 0.1 * gradient
    square = 0.999 * square + 0.001 * gradient**2
    change = moment / (1 - 0.9**count) / (jnp.sqrt(square / (1 - 0.999**count)) + 1e-8)
    return layer - rate * change, moment, square


class Trainer:
    def __init__(self, options, seed):
        self.options = options
        self.seed = seed
        self.rank = jax.process_index()
        self.ranks = jax.process_count()
        mesh = Mesh(np.array(jax.devices()), ("ranks",))
        # Every process has a part of each batch and all of the network; the compiler adds up where they meet.
        self.parts = NamedSharding(mesh, PartitionSpec("ranks"))
        self.whole = NamedSharding(mesh, PartitionSpec())
        self.teacher = network(seed + 1)
        layers = network(seed)
        zeros = jax.tree_util.tree_map(np.zeros_like, layers)
        self.state = (layers, zeros, zeros)
        self.step = 0
        self.advance = jax.jit(self.advanced, out_shardings=self.whole, donate_argnums=0)

    def resume(self):
        folder = os.environ.get("BATON_RESUME_FROM", "")
        if folder:
            with np.load(f"{folder}/state.npz") as saved:
                self.step = int(saved["step"])
                _, shape = jax.tree_util.tree_flatten(self.state)
                arrays = [saved[f"array-{index}"] for index in range(shape.num_leaves)]
                self.state = jax.tree_util.tree_unflatten(shape, arrays)
        self.state = jax.tree_util.tree_map(
            lambda one: jax.make_array_from_callback(one.shape, self.whole, lambda part: one[part]), self.state
        )
        print(f"rank {self.rank} of {self.ranks} starts at step {self.step}", flush=True)

    def save(self):
        """Process 0 saves for all, since all have the same: only the rename makes it a checkpoint."""
        folder = os.environ.get("BATON_CHECKPOINT_DIR", "")
        final = f"{folder}/step-{self.step}"
        if self.rank != 0 or not folder or os.path.exists(final):
            return
        os.mkdir(final + ".tmp")
        arrays = [np.asarray(one.addressable_data(0)) for one in jax.tree_util.tree_leaves(self.state)]
        np.savez(f"{final}.tmp/state.npz", step=self.step, **{f"array-{i}": one for i, one in enumerate(arrays)})
        os.rename(final + ".tmp", final)

    def batch(self):
        """The next batch, which depends on the seed and the step alone; of it each process sends its part."""
        chance = np.random.default_rng([self.seed, self.step])
        points = chance.standard_normal((self.options.batch, 16), np.float32)
        wanted = points
        for index, (weights, biases) in enumerate(self.teacher):
            wanted = wanted @ weights + biases
            wanted = np.tanh(wanted) if index < 2 else wanted
        return self.shared(points), self.shared(wanted)

    def shared(self, array):
        return jax.make_array_from_callback(array.shape, self.parts, lambda part: array[part])

    def advanced(self, state, count, points, wanted, leave):
        layers, moments, squares = state
        loss, gradients = jax.value_and_grad(loss_of)(layers, points, wanted)
        flat, shape = jax.tree_util.tree_flatten(layers)
        others = [jax.tree_util.tree_leaves(tree) for tree in (gradients, moments, squares)]
        changed = [adam(*four, count, self.options.learning_rate) for four in zip(flat, *others)]
        state = tuple(jax.tree_util.tree_unflatten(shape, list(leaves)) for leaves in zip(*changed))
        return state, jnp.stack([loss, jnp.sum(leave)])

    def train(self, metrics):
        while self.step < self.options.steps:
            began = time.monotonic()
            # Ranks hear signals at different moments. A rank that left on its own would leave the others waiting.
            leave = self.shared(np.full(jax.device_count(), wishes.leave, np.float32))
            self.state, told = self.advance(self.state, np.float32(self.step + 1), *self.batch(), leave)
            told = np.asarray(told.addressable_data(0))
            self.step += 1
            if metrics:
                line = {"step": self.step, "metric": "loss", "value": float(told[0]), "time": time.time()}
                print(json.dumps(line), file=metrics, flush=True)
            leave = told[1] > 0
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
    parser.add_argument("--batch", type=int, default=256, help="points a step, over all ranks")
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--pace", type=float, default=0, help="seconds that a step takes at least, to have time to look")
    options = parser.parse_args()

    connect()
    trainer = Trainer(options, int(os.environ.get("BATON_SEED", "0")))
    trainer.resume()
    path = os.environ.get("BATON_METRICS", "")
    metrics = open(path, "a", encoding="ascii") if path and trainer.rank == 0 else None
    return trainer.train(metrics)


if __name__ == "__main__":
    sys.exit(main())
