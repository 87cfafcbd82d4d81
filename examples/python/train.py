#!/usr/bin/env python3
"""Trains a small network on shuffled samples with dropout, and goes on bit by bit in the middle of an epoch.

All that it has to do for that is in the lines with `baton.`; baton.py lies beside it. It runs without Baton too:
`python3 train.py --steps 200`, stopped by SIGTERM and started again, goes on from the newest checkpoint.
"""

import argparse
import random
import sys
import time

import torch
from torch import nn

import baton


class Digits(torch.utils.data.Dataset):
    """Points of ten clouds, each moved a little at random whenever it is looked at, as images are by augmentation."""

    def __init__(self, size, seed):
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(10, (size,), generator=generator)
        centres = torch.randn(10, 32, generator=generator)
        self.points = centres[self.labels] + 0.7 * torch.randn(size, 32, generator=generator)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.points[index] * random.uniform(0.9, 1.1), self.labels[index]


class LossScale:
    """Dynamic loss scaling as torch.cuda.amp.GradScaler does it, for processors; its factor is no power of two."""

    def __init__(self):
        self.scale = 1000.0
        self.good = 0

    def update(self):
        self.good += 1
        if self.good == 20:
            self.scale *= 1.3
            self.good = 0

    def state_dict(self):
        return {"scale": self.scale, "good": self.good}

    def load_state_dict(self, state):
        self.scale, self.good = state["scale"], state["good"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--samples", type=int, default=1500)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=0, help="also saves by itself, every so many steps")
    parser.add_argument("--pace", type=float, default=0, help="seconds that a step takes at least, to have time to look")
    options = parser.parse_args()

    baton.listen()
    torch.manual_seed(baton.seed())
    random.seed(baton.seed())
    torch.use_deterministic_algorithms(True)

    data = Digits(options.samples, seed=1)
    if options.workers:
        data = baton.Seeded(data)
    sampler = baton.ShuffleSampler(data)
    loader = torch.utils.data.DataLoader(data, options.batch, sampler=sampler, num_workers=options.workers)
    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.998**step)
    scaler = LossScale()

    training = baton.Training(model, optimizer, schedule, scaler, sampler)
    step = training.resume()
    print(f"starts at step {step}", flush=True)
    while step < options.steps:
        for points, labels in sampler.batches(loader):
            began = time.monotonic()
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(points), labels)
            (loss * scaler.scale).backward()
            for parameter in model.parameters():
                parameter.grad /= scaler.scale
            optimizer.step()
            schedule.step()
            scaler.update()
            step += 1
            baton.log_metric(step, "loss", loss.item())
            save, leave = baton.wishes()
            if save or (options.save_every and step % options.save_every == 0):
                training.save(step)
            if leave:
                return baton.SAVED
            if step == options.steps:
                break
            time.sleep(max(0, options.pace - (time.monotonic() - began)))
    training.save(step)
    return 0


if __name__ == "__main__":
    sys.exit(main())
