#!/usr/bin/env python3
"""The network of baton-train in PyTorch, on the same data, for the study bench: same layers, optimizer, batches, one thread.

    train_torch.py --data FOLDER --metrics FILE --batch N --steps N

RANK and WORLD_SIZE make it one of several ranks over gloo, whose gradients are averaged as DDP does; --batch is what all
ranks have together. Appends {"step", "time"} for each step, as baton-train does.
"""
import argparse
import glob
import json
import os
import time

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("--metrics", required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--steps", type=int, required=True)
wanted = parser.parse_args()

torch.set_num_threads(1)
torch.set_num_interop_threads(1)
torch.manual_seed(7)
rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
if size > 1:
    torch.distributed.init_process_group("gloo")

pixels, labels = [], []
for name in sorted(glob.glob(os.path.join(wanted.data, "*.csv"))):
    with open(name, encoding="ascii") as lines:
        for line in lines:
            values = bytearray(map(int, line.split(",")))
            pixels.append(values[:-1])
            labels.append(values[-1])
images = torch.frombuffer(bytearray().join(pixels), dtype=torch.uint8).reshape(-1, 1, 28, 28)
answers = torch.tensor(labels)

network = nn.Sequential(
    nn.Conv2d(1, 48, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(48, 128, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(128 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10))
model = nn.parallel.DistributedDataParallel(network) if size > 1 else network
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
order = torch.randperm(len(images))
with open(wanted.metrics, "a", encoding="ascii") as metrics:
    for step in range(1, wanted.steps + 1):
        start = (step - 1) * wanted.batch % (len(images) - wanted.batch)
        share = order[start + wanted.batch * rank // size:start + wanted.batch * (rank + 1) // size]
        batch = (images[share].float() / 255 - 0.13) / 0.31
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch), answers[share])
        loss.backward()
        optimizer.step()
        value = loss.item()
        if rank == 0:
            print(json.dumps({"step": step, "metric": "loss", "value": value, "time": time.time()}), file=metrics, flush=True)
