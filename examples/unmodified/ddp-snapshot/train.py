#!/usr/bin/env python3
"""DistributedDataParallel with a snapshot file, in the manner of PyTorch's tutorials on fault tolerance.

Rank 0 overwrites `--snapshot` every few epochs; whoever starts and finds it goes on from there. It runs under `torchrun`.
"""

import argparse
import os
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler


def data():
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(512, 20, generator=generator)
    return TensorDataset(points, points.sum(dim=1, keepdim=True).sin())


class Trainer:
    def __init__(self, options):
        self.options = options
        self.rank = dist.get_rank()
        torch.manual_seed(options.seed)
        model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1))
        dataset = data()
        self.sampler = DistributedSampler(dataset, seed=options.seed)
        self.loader = DataLoader(dataset, batch_size=options.batch, sampler=self.sampler)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        self.epochs = 0
        if os.path.exists(options.snapshot):
            snapshot = torch.load(options.snapshot, map_location="cpu")
            model.load_state_dict(snapshot["MODEL_STATE"])
            self.optimizer.load_state_dict(snapshot["OPTIMIZER_STATE"])
            self.epochs = snapshot["EPOCHS_RUN"]
            print(f"[rank {self.rank}] resuming from the snapshot at epoch {self.epochs}", flush=True)
        self.model = DistributedDataParallel(model)

    def save(self):
        torch.save(
            {
                "MODEL_STATE": self.model.module.state_dict(), "OPTIMIZER_STATE": self.optimizer.state_dict(),
                "EPOCHS_RUN": self.epochs,
            }, self.options.snapshot)
        print(f"[rank {self.rank}] saved epoch {self.epochs}", flush=True)

    def run_epoch(self):
        self.sampler.set_epoch(self.epochs)
        total = torch.zeros(1)
        for points, wanted in self.loader:
            loss = nn.functional.mse_loss(self.model(points), wanted)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        dist.all_reduce(total)
        self.epochs += 1
        return total.item() / len(self.loader) / dist.get_world_size()

    def train(self):
        while self.epochs < self.options.total_epochs:
            began = time.monotonic()
            loss = self.run_epoch()
            if self.rank == 0:
                print(f"epoch {self.epochs}: loss {loss:.6f} ({loss.hex()})", flush=True)
                if self.epochs % self.options.save_every == 0:
                    self.save()
            time.sleep(max(0, self.options.pace - (time.monotonic() - began)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("total_epochs", type=int)
    parser.add_argument("save_every", type=int)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--snapshot", default="snapshot.pt")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--pace", type=float, default=0, help="seconds that an epoch takes at least")
    options = parser.parse_args()
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    Trainer(options).train()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
