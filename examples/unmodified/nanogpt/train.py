#!/usr/bin/env python3
"""Trains a tiny character transformer, in the manner of nanoGPT: it knows its own flags and nothing else.

`train.py` begins anew, `train.py --init_from=resume` goes on from `out_dir/ckpt.pt`, which is overwritten at every
`--eval_interval`. There is nothing to download: the text is sums, written out.
"""

import argparse
import os
import time

import torch
from torch import nn
from torch.nn import functional as F

TEXT = "".join(f"{a}+{b}={a + b};" for a in range(100) for b in range(0, 100, 7))
LETTERS = sorted(set(TEXT))
DATA = torch.tensor([LETTERS.index(letter) for letter in TEXT])


class Block(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.attention = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.before_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.attention(self.before_attention(x)).split(width, dim=2)
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in parts)
        scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(future, float("-inf")).softmax(-1) @ v
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(batch, length, width)))
        return x + self.dropout(self.mlp(self.before_mlp(x)))


class Model(nn.Module):
    def __init__(self, layers, width, heads, block, dropout):
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS), width)
        self.places = nn.Embedding(block, width)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.last = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(LETTERS), bias=False)

    def forward(self, x, wanted):
        x = self.letters(x) + self.places(torch.arange(x.shape[1]))
        logits = self.head(self.last(self.blocks(x)))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), wanted.reshape(-1))


def batch(options):
    starts = torch.randint(len(DATA) - options.block_size - 1, (options.batch_size,)).tolist()
    return [torch.stack([DATA[at + shift :][: options.block_size] for at in starts]) for shift in (0, 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--init_from", choices=["scratch", "resume"], default="scratch")
    parser.add_argument("--out_dir", default="out")
    parser.add_argument("--max_iters", type=int, default=2000)
    parser.add_argument("--eval_interval", type=int, default=50)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--block_size", type=int, default=32)
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1337)
    parser.add_argument("--pace", type=float, default=0, help="seconds that a step takes at least, to have time to look")
    options = parser.parse_args()

    os.makedirs(options.out_dir, exist_ok=True)
    path = os.path.join(options.out_dir, "ckpt.pt")
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    model = Model(layers=2, width=32, heads=4, block=options.block_size, dropout=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate)
    done = 0
    if options.init_from == "resume":
        checkpoint = torch.load(path, map_location="cpu")
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        # Batches and dropout come from it.
        torch.set_rng_state(checkpoint["rng"])
        done = checkpoint["iter_num"]
        print(f"resuming from {path} at iter {done}", flush=True)
    else:
        print("beginning anew", flush=True)

    while done < options.max_iters:
        began = time.monotonic()
        loss = model(*batch(options))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += 1
        if done % options.eval_interval == 0 or done == options.max_iters:
            # By its bits, since a few digits would hide a difference.
            print(f"iter {done}: loss {loss.item():.4f} ({loss.item().hex()})", flush=True)
            torch.save(
                {
                    "model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(),
                    "iter_num": done,
                }, path)
            print(f"saved iter {done}", flush=True)
        time.sleep(max(0, options.pace - (time.monotonic() - began)))


if __name__ == "__main__":
    main()
