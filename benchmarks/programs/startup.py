#!/usr/bin/env python3
"""What the benchmark `startup` runs: ranks that meet, step together, and tell when; one of them may die.

    startup.py FOLDER none|torch [--dies RANK]

Each rank writes FOLDER/startup-JOB-RANK: when it was started, when all had met, and when it died, in seconds since 1970.
"""

import argparse
import os
import socket
import struct
import time


def started():
    """When this process began, by the kernel: the interpreter takes a while before it comes here."""
    with open("/proc/self/stat", encoding="ascii") as file:
        ticks = int(file.read().rsplit(")", 1)[1].split()[19])
    with open("/proc/uptime", encoding="ascii") as file:
        uptime = float(file.read().split()[0])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


class Ring:
    """Rank 0 hears a byte of every other rank, and answers it: a barrier, and nothing else."""

    def __init__(self, rank, ranks):
        self.peers = []
        address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
        if rank == 0:
            with socket.create_server(address, backlog=ranks) as server:
                self.peers = [server.accept()[0] for _ in range(ranks - 1)]
            return
        while not self.peers:
            try:
                self.peers = [socket.create_connection(address)]
            except ConnectionRefusedError:
                time.sleep(0.005)

    def step(self, rank):
        if rank != 0:
            self.peers[0].sendall(struct.pack("<B", 1))
        heard = [peer.recv(1) for peer in self.peers]
        if rank == 0:
            for peer in self.peers:
                peer.sendall(struct.pack("<B", 1))
        if b"" in heard:
            # As frameworks do that wait for a peer: it hangs, and somebody else has to notice.
            while True:
                time.sleep(3600)


class Torch:
    def __init__(self, rank, ranks):
        import torch
        import torch.distributed as distributed

        self.sum = torch.zeros(1)
        self.distributed = distributed
        distributed.init_process_group("gloo", rank=rank, world_size=ranks)

    def step(self, _):
        self.distributed.all_reduce(self.sum)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("framework", choices=["none", "torch"])
    parser.add_argument("--dies", type=int)
    options = parser.parse_args()
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    with open(f"{options.folder}/startup-{os.environ['BATON_JOB_ID']}-{rank}", "w", encoding="ascii") as file:
        print("started", started(), file=file, flush=True)
        gang = (Ring if options.framework == "none" else Torch)(rank, ranks)
        gang.step(rank)
        print("met", time.time(), file=file, flush=True)
        for _ in range(20):
            gang.step(rank)
        if options.dies is None:
            return 0
        if rank == options.dies:
            print("died", time.time(), file=file, flush=True)
            os._exit(3)
        while True:
            gang.step(rank)


if __name__ == "__main__":
    code = main()
    # Not by sys.exit: gloo's threads may outlive what they use while Python ends, and the process aborts then, at times.
    os._exit(code)
