#!/usr/bin/env python3
"""Counts steps: a training program for tests, which speaks Baton's contract and misbehaves on demand.

Its state is the sum of all steps so far, so that the value of step n is n(n+1)/2 only where nothing was lost, and
nothing counted twice. What it does it tells in `events.jsonl` of a folder outside the node; a lock there is held while
a rank lives, so that two of the same rank at one time are found out however they ended.
"""

import argparse
import fcntl
import hashlib
import json
import os
import select
import signal
import socket
import sys
import time

SAVED = 85
PIECE = 64 << 10

def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", required=True, help="folder for events and locks, outside the node")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--until-told", action="store_true",
                        help="goes on until there is a file `finish` beside the events")
    parser.add_argument("--pace", type=float, default=0.05, help="seconds a step")
    parser.add_argument("--exit-at", help="STEP:CODE")
    parser.add_argument("--signal-at", help="STEP:SIGNAL, sent to itself")
    parser.add_argument("--only-rank", type=int, help="the rank that misbehaves; otherwise all")
    parser.add_argument("--deaf", action="store_true", help="hears SIGTERM and does nothing")
    parser.add_argument("--partial-in", type=int, help="the attempt whose last save stays step-N.tmp")
    parser.add_argument("--corrupt-in", type=int, help="the attempt whose last save cannot be read")
    parser.add_argument("--slow-save", type=float, default=0, help="seconds that its last save takes")
    parser.add_argument("--bulk", type=int, default=0,
                        help="bytes beside its state in each checkpoint, new ones each time, flushed piece by piece")
    parser.add_argument("--sharded", action="store_true",
                        help="all ranks count in step, and each saves a part of its own")
    parser.add_argument("--scribble", action="store_true",
                        help="writes into its newest checkpoint once there is a file `scribble` beside the events")
    parser.add_argument("--save-at", type=int, help="saves by itself at this step")
    parser.add_argument("--fill-at", type=int, help="fills the node's disk from this step on")
    parser.add_argument("--check", help="PATH:SHA256 of a file of the job's data, which has to be right")
    parser.add_argument("--daemon", action="store_true", help="leaves a process behind that forgot its parents")
    return parser.parse_args()


class Gang:
    """All ranks of a job, in step: what one of them was told, all know before their next step."""

    def __init__(self, rank, size, place):
        self.peers = []
        self.leads = rank == 0
        if self.leads:
            with socket.create_server(place, backlog=size) as listener:
                while len(self.peers) < size - 1:
                    self.peers.append(listener.accept()[0])
            return
        while not self.peers:
            try:
                self.peers.append(socket.create_connection(place))
            except ConnectionRefusedError:
                select.select([], [], [], 0.01)

    def agree(self, *values):
        """The greatest of all ranks' values, each for itself; ends the program where a rank is gone."""
        try:
            if self.leads:
                for peer in self.peers:
                    values = tuple(map(max, values, self.hear(peer, len(values))))
            for peer in self.peers:
                peer.sendall(bytes(values))
            if not self.leads:
                values = self.hear(self.peers[0], len(values))
        except ConnectionError:
            sys.exit("another rank is gone")
        return values

    @staticmethod
    def hear(peer, count):
        words = b""
        while len(words) < count:
            if not (piece := peer.recv(count - len(words))):
                raise ConnectionError
            words += piece
        return tuple(words)


class Program:
    def __init__(self, options):
        self.options = options
        self.environment = os.environ
        self.rank = int(self.environment["RANK"])
        self.attempt = int(self.environment["BATON_ATTEMPT"])
        self.job = int(self.environment["BATON_JOB_ID"])
        self.misbehaves = options.only_rank in (None, self.rank)
        self.step = 0
        self.sum = 0
        self.wants_save = False
        self.wants_end = False
        self.asked = 0
        self.answered = 0
        self.newest = None
        self.metrics = open(self.environment["BATON_METRICS"], "a", encoding="ascii") if self.rank == 0 else None

    def tell(self, event, **more):
        line = {"event": event, "job": self.job, "attempt": self.attempt, "rank": self.rank,
                "node": os.uname().nodename, "pid": os.getpid(), "step": self.step, **more}
        file = os.open(f"{self.options.events}/events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, (json.dumps(line) + "\n").encode("ascii"))
        os.close(file)

    def lock(self, name):
        held = open(f"{self.options.events}/{name}.lock", "w", encoding="ascii")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.tell("overlap", lock=name)
        return held

    def listen(self):
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        signal.signal(signal.SIGUSR1, lambda *_: self.hear_ask())
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "wants_end", not self.options.deaf))
        return reader

    def hear_ask(self):
        self.wants_save = True
        self.asked += 1

    def resume(self):
        folder = self.environment["BATON_RESUME_FROM"]
        if folder:
            if self.options.sharded:
                folder += f"/rank-{self.rank}"
            with open(f"{folder}/state.json", encoding="ascii") as file:
                state = json.load(file)
            self.step, self.sum = state["step"], state["sum"]
        self.tell("start", resumed=bool(folder))

    def save(self):
        self.wants_save = False
        # One rank saves for all, unless each has a part: they count the same.
        if self.rank != 0 and not self.options.sharded:
            return
        final = f"{self.environment['BATON_CHECKPOINT_DIR']}/step-{self.step}"
        if self.options.sharded:
            final += f"/rank-{self.rank}"
        if os.path.exists(final):
            return
        os.makedirs(final + ".tmp")
        with open(f"{final}.tmp/state.json", "w", encoding="ascii") as file:
            json.dump({"step": self.step, "sum": self.sum, "rank": self.rank}, file)
            if self.wants_end and self.options.corrupt_in == self.attempt:
                file.truncate(5)
        if self.options.bulk:
            self.write_bulk(final + ".tmp/bulk")
        if self.wants_end and self.options.slow_save:
            self.tell("saving")
            select.select([], [], [], self.options.slow_save)
        if self.wants_end and self.options.partial_in == self.attempt:
            self.tell("half-saved")
            return
        os.rename(final + ".tmp", final)
        self.newest = final
        self.tell("saved")

    def write_bulk(self, path):
        with open(path, "wb") as file:
            for _ in range(self.options.bulk // PIECE):
                file.write(os.urandom(PIECE))
                file.flush()
                os.fsync(file.fileno())

    def is_told(self, what):
        return os.path.exists(f"{self.options.events}/{what}")

    def scribble(self):
        with open(f"{self.newest}/state.json", "a", encoding="ascii") as file:
            file.write(" ")
        self.newest = None
        self.tell("scribbled")

    def fill(self):
        path = f"{self.environment['BATON_CHECKPOINT_DIR']}/../filler"
        with open(path, "ab") as file:
            while True:
                file.write(bytes(1 << 20))
                file.flush()

    def leave_daemon(self):
        if (child := os.fork()) != 0:
            os.waitpid(child, 0)
            return
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        self.lock_of_rank.close()
        kept = self.lock("daemon")
        self.tell("daemon")
        for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(name, signal.SIG_IGN)
        while kept:
            signal.pause()

    def advance(self):
        self.step += 1
        self.sum += self.step
        if self.metrics:
            print(json.dumps({"step": self.step, "metric": "sum", "value": self.sum, "time": time.time()}),
                  file=self.metrics, flush=True)
        self.tell("step")
        if not self.misbehaves:
            return
        if self.options.exit_at:
            step, code = map(int, self.options.exit_at.split(":"))
            if step == self.step:
                sys.exit(code)
        if self.options.signal_at:
            step, number = map(int, self.options.signal_at.split(":"))
            if step == self.step:
                os.kill(os.getpid(), number)
        if self.options.save_at == self.step:
            self.save()
        if self.options.fill_at == self.step:
            self.fill()

    def check(self):
        path, expected = self.options.check.split(":")
        with open(f"{self.environment['BATON_DATA_DIR']}/{path}", "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            sys.exit(f"{path} is {found}, not {expected}")

    def join_gang(self):
        place = self.environment["MASTER_ADDR"], int(self.environment["MASTER_PORT"])
        return Gang(self.rank, int(self.environment["WORLD_SIZE"]), place)

    def agree(self, gang, is_over):
        """Takes on what any rank was told, and saves where that is it; whether all are to finish."""
        # Each rank hears of every ask, one sooner than the other.
        asked, self.wants_end, is_over = gang.agree(self.asked, self.wants_end, is_over)
        if asked > self.answered and not self.wants_end:
            self.save()
        self.answered = asked
        return is_over

    def run(self):
        if self.options.check:
            self.check()
        self.lock_of_rank = self.lock(f"job-{self.job}-rank-{self.rank}")
        wake = self.listen()
        gang = self.join_gang() if self.options.sharded else None
        print(f"rank {self.rank} of attempt {self.attempt}", flush=True)
        self.resume()
        if self.options.daemon:
            self.leave_daemon()
        while self.step < self.options.steps:
            due = time.monotonic() + self.options.pace
            while not self.wants_end and (left := due - time.monotonic()) > 0:
                if select.select([wake], [], [], left)[0]:
                    os.read(wake, 512)
                if self.wants_save and not gang:
                    self.save()
            is_over = self.options.until_told and self.is_told("finish")
            if gang:
                is_over = self.agree(gang, is_over)
            if self.wants_end:
                self.save()
                self.tell("stop")
                return SAVED
            if is_over:
                break
            if self.options.scribble and self.newest and self.is_told("scribble"):
                self.scribble()
            self.advance()
        self.tell("done")
        return 0


if __name__ == "__main__":
    sys.exit(Program(arguments()).run())
