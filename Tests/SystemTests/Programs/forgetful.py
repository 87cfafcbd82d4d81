#!/usr/bin/env python3
"""Trains a line by hand, with examples/python/baton.py, and forgets a part of its checkpoint on demand.

It needs nothing but Python: model, momentum, step size, loss scale, shuffled samples and random noise are all a few
lines here, so that a test of all of them takes seconds. What it is to forget when it resumes stands in the file `forget`
of a folder outside the node; the first attempt of a run resumes from nothing, and forgets nothing.
"""

import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../examples/python"))
import baton

SAMPLES = 64
BATCH = 4


class Part:
    """Numbers that are saved."""

    def __init__(self, **numbers):
        self.__dict__.update(numbers)

    def state_dict(self):
        return dict(self.__dict__)

    def load_state_dict(self, state):
        self.__dict__.update(state)


def forget(what):
    """Makes a part of what baton.py loads go missing."""
    load = baton._load

    def without(path):
        state = load(path)
        state["parts"].pop({"weights": "model", "data_order": "sampler", "loss_scale": "scaler"}.get(what, what), None)
        if what == "rng":
            state["streams"][0].pop("python")
        return state

    baton._load = without
    if what == "world_size":
        baton.world_size = lambda: 2
    if what == "library":
        libraries = baton.libraries
        baton.libraries = lambda: {**libraries(), "blas": "another one"}


def batches(sampler):
    order = list(sampler)
    for begin in range(0, len(order), BATCH):
        sampler.position += len(order[begin : begin + BATCH])
        yield order[begin : begin + BATCH]
    sampler.epoch += 1
    sampler.position = 0


class Trainer:
    def __init__(self, what):
        random.seed(7)
        points = [(random.uniform(-1, 1), random.uniform(-1, 1)) for _ in range(SAMPLES)]
        self.data = [(x, y, 3 * x - 2 * y + 0.5) for x, y in points]
        self.model = Part(weights=[0.0, 0.0, 0.0])
        self.momentum = Part(velocity=[0.0, 0.0, 0.0])
        self.schedule = Part(rate=0.05)
        self.scale = Part(scale=3.0, good=0)
        self.sampler = baton.ShuffleSampler(SAMPLES, seed=7)
        self.training = baton.Training(self.model, self.momentum, self.schedule, self.scale, self.sampler)
        # Another library would add up in another order.
        self.last_bit = 1 + 1e-12 if what == "library" else 1
        self.chance = random.SystemRandom() if what == "chance" else random

    def advance(self, samples):
        loss = 0.0
        gradient = [0.0, 0.0, 0.0]
        for index in samples:
            x, y, wanted = self.data[index]
            x += self.chance.gauss(0, 0.1)
            inputs = (x, y, 1.0)
            error = sum(w * i for w, i in zip(self.model.weights, inputs)) - wanted
            loss += error * error * self.last_bit / len(samples)
            scaled = 2 * error * self.scale.scale / len(samples)
            gradient = [g + scaled * i for g, i in zip(gradient, inputs)]
        for index, scaled in enumerate(gradient):
            # The scale is no power of two: it decides the last bits, as an overflow would decide more.
            self.momentum.velocity[index] = 0.9 * self.momentum.velocity[index] + scaled / self.scale.scale
            self.model.weights[index] -= self.schedule.rate * self.momentum.velocity[index]
        self.schedule.rate *= 0.99
        self.scale.good += 1
        if self.scale.good % 5 == 0:
            self.scale.scale *= 1.1
        return loss


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", required=True)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--save-at", type=int, default=20)
    parser.add_argument("--pace", type=float, default=0.01)
    parser.add_argument("--silent", action="store_true", help="tells Baton no ingredients")
    options = parser.parse_args()
    baton.listen()
    what = None
    path = f"{options.events}/forget"
    if baton.resume_path() and os.path.exists(path):
        with open(path, encoding="ascii") as file:
            what = file.read().strip()
        forget(what)
    if options.silent:
        baton.loaded = lambda *_: None
    trainer = Trainer(what)
    step = trainer.training.resume(partial=True)
    while step < options.steps:
        for samples in batches(trainer.sampler):
            began = time.monotonic()
            loss = trainer.advance(samples)
            step += 1
            baton.log_metric(step, "loss", loss)
            save, leave = baton.wishes()
            if save or step == options.save_at:
                trainer.training.save(step)
            if leave:
                return baton.SAVED
            if step == options.steps:
                break
            while (left := began + options.pace - time.monotonic()) > 0:
                baton.signal.sigtimedwait([], left)
    return 0


if __name__ == "__main__":
    sys.exit(main())
