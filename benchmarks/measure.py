#!/usr/bin/env python3
"""Runs a program and tells how long it took and what it used, it and all that it waited for.

    measure.py [--input FILE] --output FILE -- PROGRAM [ARGUMENT ...]

Prints {"status", "seconds", "cpuSeconds", "peakBytes"}: the peak is that of the largest single process. A small program
of its own since a process is charged with the memory of the one that it was started from.
"""
import argparse
import json
import os
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--input", default=os.devnull)
parser.add_argument("--output", required=True)
parser.add_argument("command", nargs=argparse.REMAINDER)
wanted = parser.parse_args()
command = wanted.command[1:] if wanted.command[:1] == ["--"] else wanted.command

start = time.monotonic()
child = os.fork()
if child == 0:
    os.dup2(os.open(wanted.input, os.O_RDONLY), 0)
    os.dup2(os.open(wanted.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 1)
    os.dup2(1, 2)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error}", file=sys.stderr, flush=True)
        os._exit(127)
_, status, used = os.wait4(child, 0)
print(json.dumps({
    "status": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - start,
    "cpuSeconds": used.ru_utime + used.ru_stime, "peakBytes": used.ru_maxrss * 1024}))
