"""What a training program in Python says to Baton, and hears from it: copy this one file beside the program.

It needs nothing but Python 3.9; PyTorch and NumPy are used where the program has imported them. It works without Baton
too: checkpoints are then in `baton-checkpoints/`, metrics in `baton-metrics.jsonl`, artifacts in `baton-artifacts/`, and
the newest checkpoint there is resumed from. README.md beside it shows how it is used; Baton's contract is
docs/contract.md.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import pickle
import platform
import random
import re
import shutil
import signal
import struct
import sys
import tempfile
import time

SAVED = 85  # the exit code that says: saved, continue me

# -- What is wanted of the program ----------------------------------------------------------------------------------


class _Wishes:
    asked = 0  # so often was this process asked to save
    agreed = None  # so often, by what all ranks said last; None where they are not asked
    answered = 0  # so many of those were answered by a save
    leave = False
    listens = False


def listen():
    """Begins to hear SIGUSR1 (save now and go on) and SIGTERM (save and leave); the handlers only take a note.

    Call it before anything takes long, from the main thread: the lease may end while the ranks still look for each other.
    """
    if _Wishes.listens:
        return
    signal.signal(signal.SIGUSR1, _hear_ask)
    signal.signal(signal.SIGTERM, _hear_end)
    # Whoever started this process may have held them back, and that is inherited.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1, signal.SIGTERM])
    _Wishes.listens = True


def _hear_ask(*_):
    _Wishes.asked += 1


def _hear_end(*_):
    _Wishes.leave = True


def checkpoint_requested():
    """Whether this process was asked to save since it last did, or is to leave. Ranks that save together: `wishes()`."""
    listen()
    return _Wishes.asked > _Wishes.answered or _Wishes.leave


def should_stop():
    """Whether this process was told to save and leave. Ranks that leave together: `wishes()`."""
    listen()
    return _Wishes.leave


def wishes():
    """Whether to save now, and whether to leave after that: the same for all ranks, which all have to ask.

    Ranks hear signals at different moments, and one that acted alone would leave the others waiting.
    """
    listen()
    asked, leave = agree(_Wishes.asked, _Wishes.leave)
    # A rank that hears of the same wish later has answered it already, since all ranks count the same wishes.
    _Wishes.agreed = int(asked)
    if leave:
        _Wishes.leave = True
    return asked > _Wishes.answered or leave > 0, leave > 0


def _answer():
    _Wishes.answered = _Wishes.asked if _Wishes.agreed is None else max(_Wishes.answered, _Wishes.agreed)


def agree(*numbers):
    """The greatest of all ranks' numbers, each for itself; by torch.distributed where it is set up."""
    dist = _distributed()
    if dist is None:
        return tuple(float(number) for number in numbers)
    torch = _torch()
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    told = torch.tensor([float(number) for number in numbers], dtype=torch.float64, device=device)
    dist.all_reduce(told, op=dist.ReduceOp.MAX)
    return tuple(told.tolist())


# -- Where things are -------------------------------------------------------------------------------------------------


def is_under_baton():
    """Whether Baton started this process."""
    return "BATON_JOB_ID" in os.environ


def seed():
    """The job's seed; 0 outside Baton."""
    return int(os.environ.get("BATON_SEED") or 0)


def rank():
    """This process's rank; 0 alone."""
    dist = _distributed()
    return dist.get_rank() if dist else int(os.environ.get("RANK") or 0)


def world_size():
    """How many ranks there are; 1 alone."""
    dist = _distributed()
    return dist.get_world_size() if dist else int(os.environ.get("WORLD_SIZE") or 1)


def checkpoint_folder():
    """Where checkpoints are written."""
    return os.environ.get("BATON_CHECKPOINT_DIR") or "baton-checkpoints"


def resume_path():
    """The folder of the checkpoint to go on from, or None to begin anew."""
    if is_under_baton():
        return os.environ.get("BATON_RESUME_FROM") or None
    newest = -1
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(checkpoint_folder()):
            found = re.fullmatch(r"step-(\d+)", name)
            newest = max(newest, int(found[1])) if found else newest
    return os.path.join(checkpoint_folder(), f"step-{newest}") if newest >= 0 else None


def artifacts_folder():
    """Where figures, predictions and whatever else the run is to keep go; the folder is there.

    Of a job it is empty when an attempt begins, and kept once its ranks have ended, of each node. What ends in `.tmp` is
    not kept: `artifact()` writes a file under such a name first.
    """
    folder = os.environ.get("BATON_ARTIFACTS_DIR") or "baton-artifacts"
    os.makedirs(folder, exist_ok=True)
    return folder


@contextlib.contextmanager
def artifact(name):
    """The path to write the artifact `name` to, which may have folders in it: it has that name once all is written.

    The rank may be ended at any moment, and half of a file would be kept as well. A file of that name is replaced.
    """
    final = os.path.join(artifacts_folder(), name)
    os.makedirs(os.path.dirname(final), exist_ok=True)
    # Libraries choose a format by how a name ends, so the folder has the ending that is not kept.
    partial = tempfile.mkdtemp(prefix=".", suffix=".tmp", dir=os.path.dirname(final))
    try:
        path = os.path.join(partial, os.path.basename(final))
        yield path
        os.replace(path, final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


# -- Metrics ----------------------------------------------------------------------------------------------------------


def log_metric(step, metric, value):
    """Appends one value of a metric at a step; of several ranks, one should."""
    _tell({"step": int(step), "metric": str(metric), "value": float(value), "time": time.time()})


def _tell(line):
    # One write of a whole line in append mode: ranks of a node share the file.
    path = os.environ.get("BATON_METRICS") or "baton-metrics.jsonl"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, (json.dumps(line) + "\n").encode("ascii"))
    finally:
        os.close(file)


# -- Saving -----------------------------------------------------------------------------------------------------------


def save(step, write, sharded=False):
    """Makes the checkpoint of `step`: `write(folder)` fills a folder, which is put on the disk and then renamed.

    Gives the checkpoint's folder. Only the rename makes it a checkpoint, so that nobody ever resumes from half of one;
    where it is there already, nothing is done. With `sharded` each rank calls this and has a folder of its own in it,
    `rank-R`; else one rank does for all.
    """
    final = os.path.join(checkpoint_folder(), f"step-{int(step)}")
    if sharded:
        final = os.path.join(final, f"rank-{rank()}")
    _answer()
    if os.path.exists(final):
        return final
    partial = final + ".tmp"
    shutil.rmtree(partial, ignore_errors=True)  # of an earlier process that died while it wrote
    os.makedirs(partial)
    write(partial)
    for folder, _, names in os.walk(partial):
        for name in names:
            _flush(os.path.join(folder, name))
        _flush(folder)
    os.rename(partial, final)
    _flush(os.path.dirname(final))
    return final


def _flush(path):
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


# -- All that a resume needs -------------------------------------------------------------------------------------------


class Training:
    """What a run has to save to go on bit by bit, and to prove it.

    `model`, `optimizer`, `scheduler`, `scaler` and `sampler` are whatever has `state_dict()` and `load_state_dict()`, or
    None; a model in DataParallel or DistributedDataParallel is unwrapped. Random streams of Python, NumPy, PyTorch and
    the rank's CUDA device are saved for each rank. `extra` is anything else, a dictionary that can be pickled, and is
    there again after `resume()`. With `sharded` each rank saves all of that by itself (FSDP of both kinds, pipelines),
    and as many ranks have to resume; else rank 0 saves for all, and the others add what is theirs.
    """

    FILE = "training.pt"
    STATE = "baton-state.json"

    def __init__(self, model=None, optimizer=None, scheduler=None, scaler=None, sampler=None, extra=None, sharded=False):
        if not sharded and _is_sharded(model):
            raise ValueError("each rank has a part of this model (FSDP): write Training(..., sharded=True)")
        self.parts = {
            "model": _unwrapped(model), "optimizer": optimizer, "scheduler": scheduler, "scaler": scaler,
            "sampler": sampler,
        }
        self.extra = {} if extra is None else extra
        self.sharded = sharded
        self.step = 0

    def save(self, step):
        """Saves after `step`, at the end of the loop's body; all ranks have to call it. Gives the folder, if this rank has one."""
        self.step = int(step)
        mine = {"streams": self.streams(), "ingredients": self.ingredients()}
        if self.sharded:
            ranks = {rank(): mine}
        else:
            ranks = _gathered(mine)
        if ranks is None:
            _answer()
            return None
        return save(step, lambda folder: self._write(folder, ranks), sharded=self.sharded)

    def _write(self, folder, ranks):
        state = {"step": self.step, "parts": self.pack(), "extra": self.extra}
        state["streams"] = {number: one["streams"] for number, one in ranks.items()}
        with open(os.path.join(folder, self.FILE), "wb") as file:
            torch = _torch()
            torch.save(state, file) if torch else pickle.dump(state, file)
        told = {"version": 1, "step": self.step}
        told["ranks"] = {str(number): one["ingredients"] for number, one in ranks.items()}
        with open(os.path.join(folder, self.STATE), "w", encoding="ascii") as file:
            json.dump(told, file, indent=1, sort_keys=True)

    def pack(self):
        """What is saved of the parts, by name."""
        return {name: part.state_dict() for name, part in self.parts.items() if part is not None}

    def resume(self, partial=False):
        """Loads the checkpoint to go on from, where there is one, and gives its step; 0 to begin anew.

        Call it when everything is made and nothing was drawn at random that the loop still needs. Throws where a part
        is missing in the checkpoint, unless `partial` allows that. Tells Baton what was loaded.
        """
        folder = resume_path()
        if folder is None:
            return 0
        if self.sharded:
            folder = os.path.join(folder, f"rank-{rank()}")
        state = _load(os.path.join(folder, self.FILE))
        saved = state["parts"]
        for name, part in self.parts.items():
            if part is None:
                continue
            if name in saved:
                part.load_state_dict(saved[name])
            elif not partial:
                raise ValueError(f"the checkpoint in {folder} has no {name}: it was saved without one")
        self.extra.clear()
        self.extra.update(state["extra"])
        self.step = state["step"]
        # Last: loading may draw numbers.
        self.set_streams(state["streams"].get(rank(), {}))
        loaded(self.step, self.ingredients())
        return self.step

    def streams(self):
        """The states of all random streams of this rank."""
        found = {"python": random.getstate()}
        numpy, torch = sys.modules.get("numpy"), _torch()
        if numpy:
            found["numpy"] = numpy.random.get_state()
        if torch:
            found["torch"] = torch.get_rng_state()
            if torch.cuda.is_available():
                found["cuda"] = torch.cuda.get_rng_state()
        return found

    def set_streams(self, saved):
        """Sets the streams that are in `saved` back to what they were."""
        numpy, torch = sys.modules.get("numpy"), _torch()
        if "python" in saved:
            random.setstate(saved["python"])
        if "numpy" in saved and numpy:
            numpy.random.set_state(saved["numpy"])
        if "torch" in saved and torch:
            torch.set_rng_state(saved["torch"])
        if "cuda" in saved and torch and torch.cuda.is_available():
            torch.cuda.set_rng_state(saved["cuda"])

    def ingredients(self):
        """A word or a digest for each thing that a resume needs, of this rank, as it is now."""
        found = {"world_size": str(world_size())}
        names = {"model": "weights", "optimizer": "optimizer", "scheduler": "optimizer.schedule"}
        for name, key in names.items():
            if self.parts[name] is not None:
                found[key] = digest(self.parts[name].state_dict())
        for name, stream in self.streams().items():
            found[f"rng.{name}"] = digest(stream)
        if self.parts["sampler"] is not None:
            sampler = self.parts["sampler"]
            found["data_order"] = sampler.describe() if hasattr(sampler, "describe") else digest(sampler.state_dict())
        if self.parts["scaler"] is not None:
            state = self.parts["scaler"].state_dict()
            scale = f"{state['scale']} " if isinstance(state.get("scale"), float) else ""
            found["loss_scale"] = scale + digest(state)
        for name, version in libraries().items():
            found[f"library.{name}"] = version
        return found


def loaded(step, ingredients):
    """Tells what this rank has loaded of the checkpoint of `step`: the names and digests that were saved with it.

    `Training.resume()` does; a program that loads by itself may.
    """
    _tell({"state": "loaded", "step": int(step), "rank": rank(), "ingredients": ingredients, "time": time.time()})


def libraries():
    """The versions of what computes."""
    found = {"python": platform.python_version()}
    for name in ("torch", "numpy"):
        if name in sys.modules:
            found[name] = str(getattr(sys.modules[name], "__version__", "unknown"))
    torch = _torch()
    if torch and torch.version.cuda:
        found["cuda"] = torch.version.cuda
    return found


def _gathered(mine):
    """What all ranks have, by rank, on rank 0; None on the others."""
    dist = _distributed()
    if dist is None or dist.get_world_size() == 1:
        return {rank(): mine}
    everything = [None] * dist.get_world_size()
    dist.all_gather_object(everything, mine)
    return dict(enumerate(everything)) if dist.get_rank() == 0 else None


def _load(path):
    torch = _torch()
    if torch is None:
        with open(path, "rb") as file:
            return pickle.load(file)
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except TypeError:  # before PyTorch 1.13
        return torch.load(path, map_location="cpu")


# -- The order of data -------------------------------------------------------------------------------------------------


class ShuffleSampler:
    """A sampler for torch's DataLoader that shuffles anew in each epoch, and goes on in the middle of one.

    Ranks share out each permutation, `size // world` samples each. `position` counts the samples of this epoch that
    the loop has had, not those that a loader has fetched ahead: take batches by `batches(loader)`, and save at the end
    of the loop's body.
    """

    def __init__(self, size, seed=None, shuffle=True):
        self.size = size if isinstance(size, int) else len(size)
        self.seed = globals()["seed"]() if seed is None else seed
        self.shuffle = shuffle
        self.rank, self.world = rank(), world_size()
        self.epoch = 0
        self.position = 0

    def __len__(self):
        return self.size // self.world - self.position

    def __iter__(self):
        share = self.permutation()[self.rank :: self.world][: self.size // self.world]
        return iter(share[self.position :])

    def permutation(self):
        """The order of all samples in this epoch: it depends on seed and epoch alone."""
        if not self.shuffle:
            return list(range(self.size))
        torch = _torch()
        word = f"{self.seed}/{self.epoch}"
        if torch is None:
            order = list(range(self.size))
            random.Random(word).shuffle(order)
            return order
        number = int.from_bytes(hashlib.sha256(word.encode("ascii")).digest()[:8], "big") >> 1
        return torch.randperm(self.size, generator=torch.Generator().manual_seed(number)).tolist()

    def batches(self, loader, workers_draw_nothing=False):
        """The batches of this epoch that are left, from a DataLoader over this sampler; then the next epoch is at hand.

        With `num_workers` what is drawn at random in workers cannot be saved: wrap the data set in `Seeded`, or say that
        they draw nothing. Throws `ValueError` where it could not be exact.
        """
        if loader.batch_size is None or getattr(loader.batch_sampler, "sampler", None) is not self:
            raise ValueError("batches() needs a DataLoader with batch_size=... and sampler=this sampler")
        dataset = loader.dataset
        if getattr(loader, "persistent_workers", False):
            raise ValueError("persistent workers do not hear of a new epoch: leave persistent_workers off")
        if loader.num_workers > 0 and not isinstance(dataset, Seeded) and not workers_draw_nothing:
            raise ValueError(
                "what workers draw at random cannot be saved: wrap the data set in baton.Seeded, use num_workers=0, "
                "or say workers_draw_nothing=True")
        if isinstance(dataset, Seeded):
            dataset.epoch = self.epoch
        torch = _torch()
        # A loader's iterator draws a number for its workers. In the middle of an epoch that would be one too many.
        before = torch.get_rng_state()
        iterator = iter(loader)
        torch.set_rng_state(before)
        for batch in iterator:
            self.position += min(loader.batch_size, self.size // self.world - self.position)
            yield batch
        self.epoch += 1
        self.position = 0

    def describe(self):
        """Epoch, position and the permutation, as Baton is told."""
        return f"epoch {self.epoch} position {self.position} permutation {digest(self.permutation())[:16]}"

    def state_dict(self):
        return {"epoch": self.epoch, "position": self.position, "world": self.world, "size": self.size, "seed": self.seed}

    def load_state_dict(self, state):
        if state["size"] != self.size:
            raise ValueError(f"the data had {state['size']} samples and has {self.size}: its order cannot go on")
        self.seed, self.epoch = state["seed"], state["epoch"]
        # On other numbers of ranks: from the same place of the permutation, as exactly as it can be shared out.
        self.position = state["position"] * state["world"] // self.world


class Seeded:
    """A data set whose random numbers depend on the seed, the epoch and the sample alone, in whichever worker.

    `ShuffleSampler.batches` tells it the epoch. The streams of the process that asks stay as they were.
    """

    def __init__(self, dataset, seed=None):
        self.dataset = dataset
        self.seed = globals()["seed"]() if seed is None else seed
        self.epoch = 0

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        numpy, torch = sys.modules.get("numpy"), _torch()
        word = f"{self.seed}/{self.epoch}/{int(index)}".encode("ascii")
        number = int.from_bytes(hashlib.sha256(word).digest()[:8], "big") >> 1
        kept = random.getstate(), numpy and numpy.random.get_state(), torch and torch.get_rng_state()
        try:
            random.seed(number)
            if numpy:
                numpy.random.seed(number % 2**32)
            if torch:
                torch.default_generator.manual_seed(number)
            return self.dataset[index]
        finally:
            random.setstate(kept[0])
            if numpy:
                numpy.random.set_state(kept[1])
            if torch:
                torch.set_rng_state(kept[2])


# -- Digests -----------------------------------------------------------------------------------------------------------


def digest(value):
    """SHA-256 of a value of numbers, texts, tensors and arrays, in dictionaries and lists: equal bits, equal digest."""
    sink = hashlib.sha256()
    _digest(value, sink)
    return sink.hexdigest()


def _digest(value, sink):
    numpy, torch = sys.modules.get("numpy"), _torch()
    if torch and isinstance(value, torch.Tensor):
        if hasattr(value, "to_local"):  # of a DTensor what this rank has
            value = value.to_local()
        plain = value.detach().cpu().contiguous()
        sink.update(f"tensor {plain.dtype} {tuple(plain.shape)} ".encode("ascii"))
        length = plain.numel() * plain.element_size()
        if length:
            if not plain.data_ptr():
                raise TypeError(f"a {type(value).__name__} has no bytes of its own here: give its state_dict() in another form")
            sink.update((ctypes.c_char * length).from_address(plain.data_ptr()))
    elif numpy and isinstance(value, (numpy.ndarray, numpy.generic)):
        plain = numpy.ascontiguousarray(value)
        sink.update(f"array {plain.dtype} {plain.shape} ".encode("ascii"))
        sink.update(plain.tobytes())
    elif isinstance(value, dict):
        sink.update(f"dict {len(value)} ".encode("ascii"))
        for key in sorted(value, key=repr):
            _digest(key, sink)
            _digest(value[key], sink)
    elif isinstance(value, (list, tuple)):
        sink.update(f"list {len(value)} ".encode("ascii"))
        if value and all(type(one) is int for one in value):
            sink.update(repr(value).strip("()[],").encode("ascii"))
            return
        for one in value:
            _digest(one, sink)
    elif isinstance(value, float):
        sink.update(b"float " + struct.pack("<d", value))
    elif isinstance(value, (bytes, bytearray)):
        sink.update(f"bytes {len(value)} ".encode("ascii") + bytes(value))
    elif value is None or isinstance(value, (bool, int, str)):
        text = repr(value).encode("utf-8")
        sink.update(f"{type(value).__name__} {len(text)} ".encode("ascii") + text)
    else:
        # An object of whatever kind: its name and what it holds, never where it lies in memory.
        sink.update(f"object {type(value).__qualname__} ".encode("utf-8"))
        _digest(getattr(value, "__dict__", None) or {}, sink)


# -- What the program has ----------------------------------------------------------------------------------------------


def _torch():
    return sys.modules.get("torch")


def _unwrapped(model):
    # Only what puts a word before each name: others that have a `module` are more than that.
    parallel = getattr(getattr(_torch(), "nn", None), "parallel", None)
    kinds = [getattr(parallel, name, None) for name in ("DataParallel", "DistributedDataParallel")]
    return model.module if isinstance(model, tuple(kind for kind in kinds if kind)) else model


def _is_sharded(model):
    if not hasattr(model, "parameters") or not hasattr(model, "modules"):
        return False
    return any(hasattr(one, "to_local") for one in model.parameters()) or any(
        type(one).__name__ == "FullyShardedDataParallel" for one in model.modules())


def _distributed():
    dist = sys.modules.get("torch.distributed")
    return dist if dist and dist.is_available() and dist.is_initialized() else None
