#!/usr/bin/env python3
"""Trains a network whose weights are sharded over all ranks (FSDP), and goes on where it was interrupted, on as many ranks as there are then.

It speaks Baton's contract (docs/contract.md), and runs without Baton too: `torchrun --nproc-per-node 2 train_fsdp.py`.
It needs PyTorch 2.6 or newer. What it learns is what another network, made from the seed, says about random points.
"""

import argparse
import glob
import json
import os
import shutil
import signal
import sys
import tempfile
import time

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard

SAVED = 85  # the exit code that says: saved, continue me


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))


class Wishes:
    """What Baton asked for. A handler only takes a note: the loop acts on it between two steps."""

    def __init__(self):
        self.save = 0
        self.leave = False
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "save", self.save + 1))
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
        self.model = network(seed).to(self.device)
        for layer in self.model:
            if isinstance(layer, nn.Linear):
                fully_shard(layer)
        fully_shard(self.model)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=options.learning_rate)
        self.step = 0
        self.saved = 0

    def state(self):
        """What makes a checkpoint: of weights and optimizer this rank's shards."""
        model, optimizer = get_state_dict(self.model, self.optimizer)
        return {"model": model, "optimizer": optimizer, "step": self.step}

    def resume(self):
        folder = os.environ.get("BATON_RESUME_FROM", "")
        if folder:
            # Every node has the parts of all ranks, each in its folder; the reader wants to see them in one. It gives
            # each rank what is its own now, also where there were more ranks, or fewer.
            with tempfile.TemporaryDirectory() as together:
                for file in glob.glob(f"{folder}/rank-*/*") + glob.glob(f"{folder}/rank-*/.metadata"):
                    os.symlink(file, os.path.join(together, os.path.basename(file)))
                state = self.state()
                dcp.load(state, storage_reader=dcp.FileSystemReader(together))
            set_state_dict(
                self.model, self.optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
            self.step = state["step"]
        print(f"rank {self.rank} of {self.ranks} on {self.device} starts at step {self.step}", flush=True)

    def save(self):
        """Each rank saves its part; the checkpoint is there once all have renamed theirs."""
        folder = os.environ.get("BATON_CHECKPOINT_DIR", "")
        if not folder or self.saved == self.step:
            return
        final = f"{folder}/step-{self.step}/rank-{self.rank}"
        shutil.rmtree(final + ".tmp", ignore_errors=True)
        os.makedirs(final + ".tmp")
        dcp.save(self.state(), storage_writer=dcp.FileSystemWriter(final + ".tmp"))
        os.rename(final + ".tmp", final)
        self.saved = self.step

    def batch(self):
        """This rank's part of the next batch, which depends on the seed and the step alone."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.step) % 2**63)
        points = torch.randn(self.options.batch, 16, generator=generator)[self.rank :: self.ranks].to(self.device)
        with torch.no_grad():
            return points, self.teacher(points)

    def advance(self, wishes):
        """One step; the loss over all ranks, and what any of them was asked for: to save, so often, and to leave.

        Ranks hear signals at different moments, and one that saved or left on its own would leave the others waiting.
        """
        points, wanted = self.batch()
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(self.model(points), wanted)
        loss.backward()
        self.optimizer.step()
        self.step += 1
        losses = loss.detach()
        dist.all_reduce(losses)
        asked = torch.tensor([wishes.save, int(wishes.leave)], device=self.device)
        dist.all_reduce(asked, op=dist.ReduceOp.MAX)
        return losses.item() / self.ranks, asked[0].item(), asked[1].item() > 0

    def train(self, wishes, metrics):
        answered = 0
        while self.step < self.options.steps:
            began = time.monotonic()
            loss, asked, leave = self.advance(wishes)
            if metrics:
                line = {"step": self.step, "metric": "loss", "value": loss, "time": time.time()}
                print(json.dumps(line), file=metrics, flush=True)
            if asked > answered or leave:
                answered = asked
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
    dist.init_process_group("cuda:nccl,cpu:gloo" if torch.cuda.is_available() else "gloo")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    trainer = Trainer(options, int(os.environ.get("BATON_SEED", "0")))
    trainer.resume()
    path = os.environ.get("BATON_METRICS", "")
    metrics = open(path, "a", encoding="ascii") if path and trainer.rank == 0 else None
    return trainer.train(wishes, metrics)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Not sys.exit: gloo's threads may still run while Python is taken down, and abort it.
    os._exit(code)
