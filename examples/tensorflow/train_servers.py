#!/usr/bin/env python3
"""Trains a small model with ParameterServerStrategy, and goes on where it was interrupted.

`TF_CONFIG` says what a process is: the chief leads, saves and ends; workers compute and servers (`ps`) hold the
variables until they are ended; the evaluator looks at what the chief saved. Only Baton's contract (docs/contract.md)
and TensorFlow are needed: what is learned is what another network, made from the seed, says about random points.
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
    """What Baton asked for. A handler only takes a note: the loop acts on it between two rounds."""

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
        [keras.Input((16,)), keras.layers.Dense(64, activation="tanh"), keras.layers.Dense(1)]
    )


def batch(seed, step, count):
    """A batch, which depends on the seed and the step alone."""
    teacher = np.random.default_rng(seed + 1)
    first, second = teacher.standard_normal((16, 32), np.float32) / 4, teacher.standard_normal((32, 1), np.float32) / 6
    points = np.random.default_rng([seed, step]).standard_normal((count, 16), np.float32)
    return points, np.tanh(points @ first) @ second


def metric(name, step, value):
    path = os.environ.get("BATON_METRICS", "")
    if path:
        line = {"step": step, "metric": name, "value": float(value), "time": time.time()}
        with open(path, "a", encoding="ascii") as metrics:
            print(json.dumps(line), file=metrics)


class Chief:
    def __init__(self, options, seed, resolver):
        self.options = options
        self.seed = seed
        # Connects to all workers and servers.
        strategy = tf.distribute.ParameterServerStrategy(resolver)
        # TensorFlow has just taken SIGTERM for itself.
        wishes.listen()
        self.coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        self.workers = resolver.cluster_spec().num_tasks("worker")
        keras.utils.set_random_seed(seed)
        with strategy.scope():
            self.model = network()
        self.step = 0

    def resume(self):
        folder = os.environ.get("BATON_RESUME_FROM", "")
        if folder:
            with np.load(f"{folder}/state.npz") as state:
                self.step = int(state["step"])
                for index, variable in enumerate(self.model.variables):
                    variable.assign(state[f"variable-{index}"])
        print(f"the chief of {self.workers} workers starts at step {self.step}", flush=True)

    def save(self):
        """Only the rename makes it a checkpoint."""
        folder = os.environ.get("BATON_CHECKPOINT_DIR", "")
        final = f"{folder}/step-{self.step}"
        if not folder or os.path.exists(final):
            return
        os.mkdir(final + ".tmp")
        state = {f"variable-{index}": variable.numpy() for index, variable in enumerate(self.model.variables)}
        np.savez(f"{final}.tmp/state.npz", step=self.step, **state)
        os.rename(final + ".tmp", final)

    @tf.function
    def gradients(self, points, wanted):
        """What a worker computes."""
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self.model(points) - wanted))
        return loss, tape.gradient(loss, self.model.trainable_variables)

    @tf.function
    def change(self, points, wanted):
        """What a worker does on its own: others change the variables at the same time."""
        loss, gradients = self.gradients(points, wanted)
        for variable, gradient in zip(self.model.trainable_variables, gradients):
            variable.value.assign_sub(self.options.learning_rate * gradient)
        return loss

    def advance(self):
        """One round: a batch for each worker."""
        count = self.options.batch // self.workers
        numbers = range(self.step * self.workers, (self.step + 1) * self.workers)
        work = self.change if self.options.asynchronous else self.gradients
        results = [self.coordinator.schedule(work, args=batch(self.seed, number, count)) for number in numbers]
        self.coordinator.join()
        fetched = [result.fetch() for result in results]
        if self.options.asynchronous:
            return np.mean(fetched)
        for index, variable in enumerate(self.model.trainable_variables):
            variable.assign_sub(self.options.learning_rate * sum(one[1][index] for one in fetched) / self.workers)
        return np.mean([one[0] for one in fetched])

    def train(self):
        while self.step < self.options.steps:
            began = time.monotonic()
            loss = self.advance()
            self.step += 1
            metric("loss", self.step, loss)
            if wishes.save or wishes.leave:
                wishes.save = False
                self.save()
            if wishes.leave:
                return SAVED
            time.sleep(max(0, self.options.pace - (time.monotonic() - began)))
        self.save()
        return 0


class Evaluator:
    """Judges what the chief saved, as it comes: it runs on the chief's node, and so sees the same folder."""

    def __init__(self, seed):
        self.model = network()
        # No training step has this number.
        self.points, self.wanted = batch(seed, 2**32, 4096)
        self.judged = -1

    def newest(self):
        """The step of the newest checkpoint; what ends in .tmp is none yet."""
        names = os.listdir(os.environ["BATON_CHECKPOINT_DIR"])
        return max((int(name[5:]) for name in names if name[:5] == "step-" and name[5:].isdigit()), default=-1)

    def judge(self):
        step = self.newest()
        if step <= self.judged:
            return
        try:
            with np.load(f"{os.environ['BATON_CHECKPOINT_DIR']}/step-{step}/state.npz") as state:
                arrays = [state[f"variable-{index}"] for index in range(len(self.model.variables))]
        except FileNotFoundError:
            return  # Baton keeps the newest two, and has just removed this one.
        for variable, array in zip(self.model.variables, arrays):
            variable.assign(array)
        self.judged = step
        metric("evaluation_loss", step, np.mean((self.model(self.points).numpy() - self.wanted) ** 2))

    def run(self):
        print("the evaluator is ready", flush=True)
        while not wishes.leave:
            self.judge()
            time.sleep(0.2)
        # The chief is done: its last checkpoint is there.
        self.judge()
        return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=256, help="points a step, over all workers")
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--asynchronous", action="store_true", help="workers change the variables on their own")
    parser.add_argument("--pace", type=float, default=0, help="seconds that a step takes at least, to have time to look")
    options = parser.parse_args()

    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    role = resolver.task_type
    if role in ("worker", "ps"):
        server = tf.distribute.Server(
            resolver.cluster_spec(), job_name=role, task_index=resolver.task_id, protocol="grpc", start=True
        )
        server.join()  # for ever: Baton ends it once the chief is gone
    tf.config.experimental.enable_op_determinism()
    seed = int(os.environ.get("BATON_SEED", "0"))
    if role == "evaluator":
        return Evaluator(seed).run()
    chief = Chief(options, seed, resolver)
    chief.resume()
    return chief.train()


if __name__ == "__main__":
    sys.exit(main())
