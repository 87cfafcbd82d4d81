#!/usr/bin/env python3
"""Trains a small Keras model with MultiWorkerMirroredStrategy, and goes on bit by bit where it was interrupted.

It speaks Baton's contract (docs/contract.md), and runs without Baton too, alone: `python3 train.py --steps 100`.
What it learns is what another network, made from the seed, says about random points: there is nothing to download.
"""

import argparse
import json
import os
import signal
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
import numpy as np

SAVED = 85  # the exit code that says: saved, continue me


class Wishes:
    """What Baton asked for. A handler only takes a note: the loop acts on it between two steps."""

    def __init__(self):
        self.save = False
        self.leave = False
        self.listen()

    def listen(self):
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "save", True))
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "leave", True))


# Before TensorFlow is imported, which takes long: the lease may end meanwhile.
wishes = Wishes()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402


def network():
    return keras.Sequential(
        [
            keras.Input((16,)), keras.layers.Dense(64, activation="tanh"), keras.layers.Dense(64, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )


class Teacher:
    """The network that says what is right; the same on every node, since only the seed decides."""

    def __init__(self, seed):
        chance = np.random.default_rng(seed + 1)
        self.first = chance.standard_normal((16, 32), np.float32) / 4
        self.second = chance.standard_normal((32, 1), np.float32) / 6

    def __call__(self, points):
        return np.tanh(points @ self.first) @ self.second


class Trainer:
    def __init__(self, options, seed):
        self.options = options
        self.seed = seed
        self.teacher = Teacher(seed)
        # By TF_CONFIG; before anything else of TensorFlow is used.
        self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        # The strategy has just taken SIGTERM for itself.
        wishes.listen()
        self.rank = self.strategy.cluster_resolver.task_id or 0
        self.ranks = self.strategy.num_replicas_in_sync
        keras.utils.set_random_seed(seed)
        with self.strategy.scope():
            self.model = network()
            self.optimizer = keras.optimizers.Adam(options.learning_rate)
            self.optimizer.build(self.model.trainable_variables)
        self.step = 0

    @property
    def variables(self):
        return self.model.variables + self.optimizer.variables

    def resume(self):
        folder = os.environ.get("BATON_RESUME_FROM", "")
        if folder:
            with np.load(f"{folder}/state.npz") as state:
                self.step = int(state["step"])
                for index, variable in enumerate(self.variables):
                    variable.assign(state[f"variable-{index}"])
        print(f"rank {self.rank} of {self.ranks} starts at step {self.step}", flush=True)

    def save(self):
        """Rank 0 saves for all, since all have the same: only the rename makes it a checkpoint."""
        folder = os.environ.get("BATON_CHECKPOINT_DIR", "")
        final = f"{folder}/step-{self.step}"
        if self.rank != 0 or not folder or os.path.exists(final):
            return
        os.mkdir(final + ".tmp")
        state = {f"variable-{index}": variable.numpy() for index, variable in enumerate(self.variables)}
        np.savez(f"{final}.tmp/state.npz", step=self.step, **state)
        os.rename(final + ".tmp", final)

    def batch(self):
        """This rank's part of the next batch, which depends on the seed and the step alone."""
        chance = np.random.default_rng([self.seed, self.step])
        points = chance.standard_normal((self.options.batch, 16), np.float32)[self.rank :: self.ranks]
        return tf.constant(points), tf.constant(self.teacher(points))

    @tf.function
    def advance(self, points, wanted, leave):
        """One step; the loss over all ranks, and how many of them were told to leave.

        Ranks hear signals at different moments. A rank that left on its own would leave the others waiting.
        """

        def replica(points, wanted, leave):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(self.model(points) - wanted)) / self.ranks
            variables = self.model.trainable_variables
            # The optimizer adds up the gradients of all ranks.
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return tf.stack([loss, leave])

        told = self.strategy.run(replica, (points, wanted, leave))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, told, axis=None)

    def train(self, metrics):
        while self.step < self.options.steps:
            began = time.monotonic()
            told = self.advance(*self.batch(), tf.constant(float(wishes.leave))).numpy()
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

    tf.config.threading.set_intra_op_parallelism_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    tf.config.experimental.enable_op_determinism()
    trainer = Trainer(options, int(os.environ.get("BATON_SEED", "0")))
    trainer.resume()
    path = os.environ.get("BATON_METRICS", "")
    metrics = open(path, "a", encoding="ascii") if path and trainer.rank == 0 else None
    return trainer.train(metrics)


if __name__ == "__main__":
    sys.exit(main())
