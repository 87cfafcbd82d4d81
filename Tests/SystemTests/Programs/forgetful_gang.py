#!/usr/bin/env python3
"""Trains a small network on several ranks with examples/python/baton.py, and loses a part of a rank's state on demand.

Each rank has the whole model, in DistributedDataParallel, and rank 0 saves for all; with `--sharded` each rank keeps a
share of the parameters and of their momentum, as ZeRO and FSDP do, and saves that. `--lose optimizer:1` leaves the
optimizer out of what rank 1 saves, `--lose rng.torch:1` does not put that rank's stream back when it resumes. `--hide
optimizer:1:save` lets that rank know nothing of its optimizer until it resumes, `--hide all:1:load` lets it tell nothing once
it has.
"""

import argparse
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../examples/python"))
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import baton

SAMPLES = 96


class Whole:
    """Every rank has all of it."""

    def __init__(self, network):
        # With `find_unused_parameters` the buckets of gradients stay as they are: see examples/pytorch.
        self.model = DistributedDataParallel(network, find_unused_parameters=True)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)

    def advance(self, points, wanted):
        self.optimizer.zero_grad()
        loss = nn.functional.mse_loss(self.model(points), wanted)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class Sharded:
    """Every rank has a share of the parameters, which it alone moves; for a step it borrows those of the others."""

    def __init__(self, network):
        self.network = network
        self.ranks = dist.get_world_size()
        whole = parameters_to_vector(network.parameters()).detach()
        self.count = len(whole)
        self.each = -(-self.count // self.ranks)
        self.model = Share(self.own(whole))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)

    def own(self, whole):
        padded = nn.functional.pad(whole, (0, self.each * self.ranks - self.count))
        return padded[dist.get_rank() * self.each :][: self.each].clone()

    def advance(self, points, wanted):
        shares = [torch.empty(self.each) for _ in range(self.ranks)]
        dist.all_gather(shares, self.model.values.detach())
        vector_to_parameters(torch.cat(shares)[: self.count], self.network.parameters())
        self.network.zero_grad()
        loss = nn.functional.mse_loss(self.network(points), wanted)
        loss.backward()
        gradient = parameters_to_vector(parameter.grad for parameter in self.network.parameters())
        dist.all_reduce(gradient)
        self.model.values.grad = self.own(gradient / self.ranks)
        self.optimizer.step()
        return loss.detach()


class Share(nn.Module):
    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(values)


def lose(what):
    """Makes a part of this rank's state go missing on its way into the checkpoint, or out of it."""
    name, number = what.split(":")
    if int(number) != dist.get_rank():
        return
    if name.startswith("rng."):
        streams = baton.Training.set_streams
        baton.Training.set_streams = lambda self, saved: streams(
            self, {stream: state for stream, state in saved.items() if stream != name[4:]})
    else:
        pack = baton.Training.pack
        baton.Training.pack = lambda self: {part: state for part, state in pack(self).items() if part != name}


def hide(what, training):
    """Lets this rank tell less than the others, of what it saves or of what it loads."""
    part, number, when = what.split(":")
    if int(number) != dist.get_rank() or (when == "load") != (baton.resume_path() is not None):
        return
    if part == "all":
        baton.loaded = lambda *_: None
    else:
        training.parts[part] = None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--save-at", type=int, default=20)
    parser.add_argument("--pace", type=float, default=0.01)
    parser.add_argument("--sharded", action="store_true")
    parser.add_argument("--lose", help="INGREDIENT:RANK")
    parser.add_argument("--hide", help="PART:RANK:save or PART:RANK:load")
    options = parser.parse_args()
    baton.listen()
    # A signal would end the ranks' looking for each other.
    signals = {signal.SIGUSR1, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    dist.init_process_group("gloo")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    if options.lose:
        lose(options.lose)

    chance = torch.Generator().manual_seed(1)
    points = torch.randn(SAMPLES, 8, generator=chance)
    wanted = torch.tanh(points @ torch.randn(8, 1, generator=chance))
    torch.manual_seed(baton.seed())
    network = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Dropout(0.2), nn.Linear(32, 1))
    parts = (Sharded if options.sharded else Whole)(network)
    # Another dropout on each rank.
    torch.manual_seed(baton.seed() + baton.rank())
    sampler = baton.ShuffleSampler(SAMPLES)
    data = torch.utils.data.TensorDataset(points, wanted)
    loader = torch.utils.data.DataLoader(data, 8, sampler=sampler)
    training = baton.Training(parts.model, parts.optimizer, sampler=sampler, sharded=options.sharded)
    if options.hide:
        hide(options.hide, training)
    step = training.resume(partial=True)
    while step < options.steps:
        for batch in sampler.batches(loader):
            began = time.monotonic()
            loss = parts.advance(*batch)
            dist.all_reduce(loss)
            step += 1
            if baton.rank() == 0:
                baton.log_metric(step, "loss", loss.item() / baton.world_size())
            save, leave = baton.wishes()
            if save or step == options.save_at:
                training.save(step)
            if leave:
                return baton.SAVED
            if step == options.steps:
                break
            while (left := began + options.pace - time.monotonic()) > 0:
                baton.signal.sigtimedwait([], left)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Not sys.exit: PyTorch 1.13 (Debian 12) is ended by SIGABRT once in a while when Python takes gloo's threads down.
    os._exit(code)
