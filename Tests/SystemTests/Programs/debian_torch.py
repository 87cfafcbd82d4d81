#!/usr/bin/env python3
"""Runs a program that imports PyTorch Lightning on Debian's torch: debian_torch.py PROGRAM [FLAG...]

Debian 12 has torch 1.13 and Python 3.11, which cannot import torch.distributed.fsdp of that version. Lightning leaves it
alone where torch says that it has no distributed part; a program of one process misses nothing.
"""

import runpy
import sys

import torch.distributed

torch.distributed.is_available = lambda: False
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
