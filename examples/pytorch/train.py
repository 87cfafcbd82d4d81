#!/usr/bin/env python3
"""Trains a small network with PyTorch's DistributedDataParallel, and goes on bit by bit where it was interrupted.

It speaks Baton's contract (docs/contract.md), and runs without Baton too: `torchrun --nproc-per-node 2 train.py`.
What it learns is what another network, made from the seed, says about random points: there is nothing to download.
"""

import argparse
import json
import os
import signal
import sys
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

SAVED = 85  # the exit code that says: saved, continue me


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))


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
        self.rank = dist.get_rank()
        self.ranks = dist.get_world_size()
        cuda = torch.cuda.is_available()
        self.device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
        self.teacher = network(seed + 1).to(self.device)
        # With `find_unused_parameters` the buckets of gradients stay as they are. Else they are made anew after the
        # first step, and the first step after a resume would add up more than two ranks in another order.
        self.model = DistributedDataParallel(network(seed).to(self.device), find_unused_parameters=True)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=options.learning_rate)
        self.step = 0

    def resume(self):
        folder = os.environ.get("BATON_RESUME_FROM", "")
        if folder:
            state = torch.load(f"{folder}/state.pt", map_location=self.device)
            self.step = state["step"]
            self.model.module.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        print(f"rank {self.rank} of {self.ranks} on {self.device} starts at step {self.step}", flush=True)

    def save(self):
        """Rank 0 saves for all, since all have the same: only the rename makes it a checkpoint."""
        folder = os.environ.get("BATON_CHECKPOINT_DIR", "")
        final = f"{folder}/step-{self.step}"
        if self.rank != 0 or not folder or os.path.exists(final):
            return
        os.mkdir(final + ".tmp")
        state = {
            "step": self.step, "model": self.model.module.state_dict(), "optimizer": self.optimizer.state_dict(),
        }
        torch.save(state, f"{final}.tmp/state.pt")
        os.rename(final + ".tmp", final)

    def batch(self):
        """This rank's part of the next batch, which depends on the seed and the step alone."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.step) % 2**63)
        points = torch.randn(self.options.batch, 16, generator=generator)[self.rank :: self.ranks].to(self.device)
        with torch.no_grad():
            return points, self.teacher(points)

    def advance(self, leave):
        """One step; the loss over all ranks, and whether any of them was told to leave.

        Ranks hear signals at different moments. A rank that left on its own would leave the others waiting.
        """
        points, wanted = self.batch()
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(self.model(points), wanted)
        loss.backward()
        self.optimizer.step()
        self.step += 1
        told = torch.stack([loss.detach(), torch.tensor(float(leave), device=self.device)])
        dist.all_reduce(told)
        return told[0].item() / self.ranks, told[1].item() > 0

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
    parser.add_argument("--batch", type=int, default=256, help="points a step, over all ranks")
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--pace", type=float, default=0, help="seconds that a step takes at least, to have time to look")
    options = parser.parse_args()

    # Before anything takes long: the lease may end while the ranks still look for each other.
    wishes = Wishes()
    torch.use_deterministic_algorithms(True)
    # A signal would end the ranks' looking for each other with "Interrupted system call": it waits until they have.
    signals = {signal.SIGUSR1, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    trainer = Trainer(options, int(os.environ.get("BATON_SEED", "0")))
    trainer.resume()
    path = os.environ.get("BATON_METRICS", "")
    metrics = open(path, "a", encoding="ascii") if path and trainer.rank == 0 else None
    return trainer.train(wishes, metrics)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Not sys.exit: PyTorch 1.13 (Debian 12) is ended by SIGABRT once in a while when Python takes gloo's threads down.
    os._exit(code)
