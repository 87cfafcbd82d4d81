#!/usr/bin/env python3
"""Trains a small network with PyTorch Lightning: it knows its own flags and nothing else.

`train.py` begins anew, `train.py --ckpt_path ckpt/epoch=0-step=40.ckpt` goes on in the middle of the data. Lightning
keeps the weights, the optimizer and its schedule; what else a run depends on, the place in the data and the generator
that dropout draws from, is put into its checkpoints by the hooks that are there for that.
"""

import argparse
import itertools
import time

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Order:
    """Which points are in which batch: all of them in another order in every epoch, from batch `first` on."""

    def __init__(self, points, size, seed, first):
        self.points, self.size, self.seed, self.first = points, size, seed, first

    def __iter__(self):
        for number in itertools.count(self.first):
            epoch, place = divmod(number, self.points // self.size)
            generator = torch.Generator().manual_seed(self.seed + epoch)
            yield torch.randperm(self.points, generator=generator)[place * self.size :][: self.size].tolist()


class Data(pl.LightningDataModule):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.first = 0

    def train_dataloader(self):
        points = torch.randn(512, 20, generator=torch.Generator().manual_seed(1))
        dataset = TensorDataset(points, points.sum(dim=1, keepdim=True).sin())
        order = Order(len(dataset), self.options.batch_size, self.options.seed, self.first)
        # A loader without a generator would draw from the one of dropout.
        return DataLoader(dataset, batch_sampler=order, generator=torch.Generator())

    def state_dict(self):
        return {"first": self.trainer.global_step}

    def load_state_dict(self, state):
        self.first = state["first"]


class Model(pl.LightningModule):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 1))
        self.rng = None

    def training_step(self, batch, _):
        points, wanted = batch
        return nn.functional.mse_loss(self.net(points), wanted)

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.options.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.options.max_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint):
        checkpoint["rng"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint):
        self.rng = checkpoint["rng"]

    def on_train_start(self):
        if self.rng is not None:
            torch.set_rng_state(self.rng)


class Say(pl.Callback):
    def __init__(self, options):
        self.options = options

    def on_train_start(self, trainer, model):
        step = trainer.global_step
        print(f"resuming at step {step}" if step else "beginning anew", flush=True)

    def on_train_batch_end(self, trainer, model, outputs, batch, number):
        step = trainer.global_step
        if step % self.options.log_every_n_steps == 0:
            loss = outputs["loss"].item()
            # By its bits, since a few digits would hide a difference.
            print(f"step {step}: loss {loss:.4f} ({loss.hex()})", flush=True)
        time.sleep(self.options.pace)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ckpt_path", help="what to go on from")
    parser.add_argument("--dirpath", default="ckpt")
    parser.add_argument("--max_steps", type=int, default=2000)
    parser.add_argument("--every_n_train_steps", type=int, default=50)
    parser.add_argument("--log_every_n_steps", type=int, default=10)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--learning_rate", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--pace", type=float, default=0, help="seconds to rest after each step, to have time to look")
    options = parser.parse_args()

    pl.seed_everything(options.seed)
    # Keeps the newest, and takes the one before away.
    saves = pl.callbacks.ModelCheckpoint(
        options.dirpath, filename="{epoch}-{step}", every_n_train_steps=options.every_n_train_steps)
    trainer = pl.Trainer(
        accelerator="cpu", deterministic=True, max_steps=options.max_steps, callbacks=[saves, Say(options)],
        logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(Model(options), Data(options), ckpt_path=options.ckpt_path)


if __name__ == "__main__":
    main()
