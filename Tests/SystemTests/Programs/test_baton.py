"""What examples/python/baton.py promises to a program; where PyTorch is missing, without what is for PyTorch."""

import contextlib
import importlib.util
import json
import multiprocessing
import os
import random
import signal
import socket
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../examples/python"))
import baton

HAS_TORCH = importlib.util.find_spec("torch") is not None
if HAS_TORCH:
    import torch
    from torch.utils.data import DataLoader, TensorDataset
HAS_FSDP = HAS_TORCH and tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 6)


class Noisy:
    """Samples that are drawn anew whenever they are looked at."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return torch.rand(()) + random.random() + index


class Part:
    def __init__(self, **state):
        self.state = state

    def state_dict(self):
        return dict(self.state)

    def load_state_dict(self, state):
        self.state = dict(state)


class BatonTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)
        kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("BATON_")}
        self.addCleanup(os.environ.update, kept)
        for name in ("asked", "answered"):
            setattr(baton._Wishes, name, 0)
        baton._Wishes.leave, baton._Wishes.agreed = False, None

    def as_job(self, resume=""):
        names = {"BATON_JOB_ID": "1", "BATON_CHECKPOINT_DIR": "saved", "BATON_RESUME_FROM": resume,
                 "BATON_METRICS": "told.jsonl", "BATON_SEED": "7"}
        os.environ.update(names)
        self.addCleanup(lambda: [os.environ.pop(name, None) for name in names])

    def told(self):
        with open(os.environ.get("BATON_METRICS", "baton-metrics.jsonl"), encoding="ascii") as file:
            return [json.loads(line) for line in file]

    def test_a_signal_is_a_wish_until_it_is_saved(self):
        self.assertFalse(baton.checkpoint_requested())
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertTrue(baton.checkpoint_requested() and not baton.should_stop())
        self.assertEqual(baton.wishes(), (True, False))
        baton.save(3, lambda folder: None)
        self.assertFalse(baton.checkpoint_requested())
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(baton.wishes(), (True, True))
        self.assertTrue(baton.should_stop() and baton.checkpoint_requested())

    def test_only_a_rename_makes_a_checkpoint(self):
        def fail(folder):
            self.assertTrue(folder.endswith("step-4.tmp"))
            raise OSError("the disk is full")

        with self.assertRaises(OSError):
            baton.save(4, fail)
        self.assertIsNone(baton.resume_path())

        def write(folder):
            self.assertEqual(os.listdir(folder), [], "nothing of the earlier try is left")
            with open(os.path.join(folder, "x"), "w", encoding="ascii") as file:
                file.write("1")

        self.assertEqual(baton.save(4, write), "baton-checkpoints/step-4")
        baton.save(4, fail)
        baton.save(12, write)
        self.assertEqual(baton.resume_path(), "baton-checkpoints/step-12")

    def test_under_baton_it_resumes_from_what_it_is_told(self):
        self.as_job()
        baton.save(5, lambda folder: None, sharded=True)
        self.assertEqual(os.listdir("saved/step-5"), ["rank-0"])
        self.assertIsNone(baton.resume_path())
        self.as_job(resume="saved/step-5")
        self.assertEqual(baton.resume_path(), "saved/step-5")

    def test_metrics_are_lines(self):
        baton.log_metric(3, "loss", 0.25)
        self.assertEqual([(line["step"], line["metric"], line["value"]) for line in self.told()], [(3, "loss", 0.25)])

    def test_artifacts_are_whole_or_not_there(self):
        with baton.artifact("figures/loss.svg") as path:
            self.assertTrue(path.endswith("/loss.svg"), "a library chooses the format by it")
            self.assertTrue(any(part.endswith(".tmp") for part in path.split("/")), "what is not whole is not kept")
            with open(path, "w", encoding="ascii") as file:
                file.write("1")
            self.assertFalse(os.path.exists("baton-artifacts/figures/loss.svg"))
        with self.assertRaises(OSError), baton.artifact("figures/loss.svg") as path:
            with open(path, "w", encoding="ascii") as file:
                file.write("half")
            raise OSError("the disk is full")
        self.assertEqual(os.listdir("baton-artifacts/figures"), ["loss.svg"])
        with open("baton-artifacts/figures/loss.svg", encoding="ascii") as file:
            self.assertEqual(file.read(), "1")

    def test_artifacts_of_a_job_are_where_it_is_told(self):
        os.environ["BATON_ARTIFACTS_DIR"] = "kept/here"
        self.addCleanup(os.environ.pop, "BATON_ARTIFACTS_DIR")
        self.assertEqual(baton.artifacts_folder(), "kept/here")
        self.assertEqual(os.listdir("kept/here"), [])
        with baton.artifact("last.bin") as path, open(path, "wb"):
            pass
        self.assertEqual(os.listdir("kept/here"), ["last.bin"])

    def make(self, extra=None):
        sampler = baton.ShuffleSampler(10, seed=3)
        return baton.Training(Part(w=1.5), Part(m=[1, 2.5]), None, Part(scale=8.0), sampler, extra)

    def test_all_that_was_saved_is_there_again_and_said_to_be(self):
        self.as_job()
        first = self.make({"best": 0.5})
        first.parts["sampler"].position = 4
        random.seed(5)
        random.random()
        folder = first.save(7)
        expected = random.random()
        random.seed(6)
        self.as_job(resume=folder)
        again = self.make()
        again.parts["model"].state["w"] = 0
        self.assertEqual(again.resume(), 7)
        self.assertEqual(again.extra, {"best": 0.5})
        self.assertEqual(again.parts["sampler"].position, 4)
        with open(f"{folder}/baton-state.json", encoding="ascii") as file:
            saved = json.load(file)
        line = self.told()[-1]
        self.assertEqual((line["state"], line["step"], line["rank"]), ("loaded", 7, 0))
        self.assertEqual(line["ingredients"], saved["ranks"]["0"])
        self.assertTrue({"weights", "optimizer", "rng.python", "data_order", "world_size"} <= set(line["ingredients"]))
        self.assertTrue(line["ingredients"]["loss_scale"].startswith("8.0 "))
        self.assertEqual(random.random(), expected)

    def test_a_part_that_was_not_saved_is_refused(self):
        self.as_job()
        folder = baton.Training(Part(w=1)).save(1)
        self.as_job(resume=folder)
        with self.assertRaisesRegex(ValueError, "has no optimizer"):
            self.make().resume()
        self.assertEqual(self.make().resume(partial=True), 1)

    def test_digests_tell_bits_apart(self):
        values = [0.0, -0.0, 0, False, None, "", b"", [], {}, [0], [[0]], [0.0], {"a": 1}, {"a": 2}, "0", [1, 2], [12]]
        digests = {baton.digest(value) for value in values}
        self.assertEqual(len(digests), len(values))
        self.assertEqual(baton.digest({"a": 1, "b": (2,)}), baton.digest({"b": [2], "a": 1}))

    def test_each_epoch_is_another_permutation_shared_out(self):
        samplers = [baton.ShuffleSampler(11, seed=1) for _ in range(2)]
        for number, sampler in enumerate(samplers):
            sampler.rank, sampler.world = number, 2
        first = [list(sampler) for sampler in samplers]
        self.assertEqual([len(part) for part in first], [5, 5])
        self.assertEqual(len(set(first[0]) | set(first[1])), 10)
        samplers[0].epoch = 1
        self.assertNotEqual(list(samplers[0]), first[0])

    def test_data_of_another_size_is_refused(self):
        sampler = baton.ShuffleSampler(11, seed=1)
        with self.assertRaisesRegex(ValueError, "cannot go on"):
            sampler.load_state_dict(baton.ShuffleSampler(12, seed=1).state_dict())

    @unittest.skipUnless(HAS_TORCH, "needs PyTorch")
    def test_goes_on_in_the_middle_of_an_epoch(self):
        data = TensorDataset(torch.arange(20.0))

        def run(stop=None, training=None):
            torch.manual_seed(1)
            sampler = baton.ShuffleSampler(data, seed=2)
            loader = DataLoader(data, 4, sampler=sampler)
            training = baton.Training(Part(), sampler=sampler)
            step, seen = training.resume(), []
            while step < 12:
                for (batch,) in sampler.batches(loader):
                    seen.append((batch + torch.rand(4)).tolist())
                    step += 1
                    if step == stop:
                        return seen, training.save(step)
                    if step == 12:
                        break
            return seen, None

        whole, _ = run()
        for stop in (3, 5, 7):
            with self.subTest(stop=stop):
                self.as_job()
                head, folder = run(stop)
                self.as_job(resume=folder)
                self.assertEqual(head + run()[0], whole)

    @unittest.skipUnless(HAS_TORCH, "needs PyTorch")
    def test_workers_draw_the_same_for_a_sample_or_are_refused(self):
        def seen(data, workers, skip=0):
            sampler = baton.ShuffleSampler(data, seed=2)
            sampler.position = skip
            return [batch.tolist() for batch in sampler.batches(DataLoader(data, 4, sampler=sampler, num_workers=workers))]

        with self.assertRaisesRegex(ValueError, "Seeded"):
            seen(Noisy(), 1)
        data = baton.Seeded(Noisy(), seed=4)
        alone = seen(data, 0)
        self.assertEqual(seen(data, 2), alone)
        self.assertEqual(seen(data, 1, skip=4), alone[1:])
        before = torch.get_rng_state()
        data[3]
        self.assertTrue(torch.equal(before, torch.get_rng_state()))

    @unittest.skipUnless(HAS_TORCH, "needs PyTorch")
    def test_a_loader_that_cannot_be_followed_is_refused(self):
        data = TensorDataset(torch.arange(8.0))
        sampler = baton.ShuffleSampler(data)
        with self.assertRaisesRegex(ValueError, "sampler=this sampler"):
            next(sampler.batches(DataLoader(data, 4)))
        loader = DataLoader(data, 4, sampler=sampler, num_workers=1, persistent_workers=True)
        with self.assertRaisesRegex(ValueError, "persistent"):
            next(sampler.batches(loader))

    @unittest.skipUnless(HAS_TORCH, "needs PyTorch")
    def test_digests_of_tensors_are_of_their_bits(self):
        one = torch.ones(2, 3)
        self.assertEqual(baton.digest(one), baton.digest(torch.ones(3, 2).t()))
        for other in (torch.ones(3, 2), torch.ones(2, 3, dtype=torch.float64), one + 1e-7, torch.ones(6)):
            self.assertNotEqual(baton.digest(one), baton.digest(other))
        baton.digest([torch.tensor(1.0), torch.zeros(0), torch.ones(2, dtype=torch.bfloat16)])

    @unittest.skipUnless(HAS_TORCH, "needs PyTorch")
    def test_a_model_is_saved_whole_whatever_its_parts_are_called(self):
        class Named(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.module, self.head = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)

        self.assertIn("head.weight", baton.Training(Named()).pack()["model"])
        parallel = torch.nn.DataParallel(Named())
        self.assertEqual(set(baton.Training(parallel).pack()["model"]), set(Named().state_dict()))

    def on_two_ranks(self, body, *more, folder="."):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        context = multiprocessing.get_context("spawn")
        ranks = [context.Process(target=body, args=(number, port, os.path.abspath(folder)) + more) for number in range(2)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
        self.assertEqual([process.exitcode for process in ranks], [0, 0])

    @unittest.skipUnless(HAS_FSDP, "needs PyTorch 2.6 or newer")
    def test_models_of_which_each_rank_has_a_part_go_on(self):
        for kind in ("FullyShardedDataParallel", "fully_shard"):
            with self.subTest(kind):
                os.mkdir(kind)
                self.on_two_ranks(_sharded_rank, kind, folder=kind)

    @unittest.skipUnless(HAS_TORCH, "needs PyTorch")
    def test_ranks_agree_and_rank_0_saves_the_streams_of_all(self):
        self.on_two_ranks(_rank)
        with open("saved/step-1/baton-state.json", encoding="ascii") as file:
            told = json.load(file)["ranks"]
        self.assertEqual(sorted(told), ["0", "1"])
        self.assertNotEqual(told["0"]["rng.torch"], told["1"]["rng.torch"])
        self.assertEqual(told["0"]["world_size"], "2")


def _meet(number, port, folder):
    os.chdir(folder)
    os.environ.update({
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(number), "WORLD_SIZE": "2", "BATON_JOB_ID": "1",
        "BATON_CHECKPOINT_DIR": "saved", "BATON_METRICS": "told.jsonl"})
    torch.distributed.init_process_group("gloo")


def _rank(number, port, folder):
    """One of two ranks: only rank 1 hears the wish, both act on it, once."""
    _meet(number, port, folder)
    torch.manual_seed(number)
    baton.listen()
    training = baton.Training(Part(w=1))
    if number == 1:
        os.kill(os.getpid(), signal.SIGUSR1)
    assert baton.wishes() == (True, False)
    training.save(1)
    expected = torch.rand(1)
    # Rank 0 hears of the same wish late: it was answered.
    if number == 0:
        os.kill(os.getpid(), signal.SIGUSR1)
    assert baton.wishes() == (False, False)
    os.environ["BATON_RESUME_FROM"] = "saved/step-1"
    torch.manual_seed(9)
    assert training.resume() == 1
    assert torch.equal(torch.rand(1), expected)
    torch.distributed.barrier()


def _sharded_rank(number, port, folder, kind):
    """One of two ranks that have a part of a model each, and go on with it bit by bit."""
    from torch.distributed import fsdp
    from torch.distributed.device_mesh import init_device_mesh

    _meet(number, port, folder)

    def made():
        torch.manual_seed(1)
        net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        if kind == "fully_shard":
            fsdp.fully_shard(net, mesh=init_device_mesh("cpu", (2,)))
        else:
            net = fsdp.FullyShardedDataParallel(net, device_id=torch.device("cpu"))
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
        return net, optimizer, baton.Training(net, optimizer, sharded=True)

    def train(net, optimizer):
        seen = []
        for _ in range(3):
            loss = net(torch.randn(4, 4)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
        return seen

    net, optimizer, training = made()
    try:
        baton.Training(net)
        raise SystemExit(f"{kind} is not known to be sharded")
    except ValueError as error:
        assert "sharded=True" in str(error)
    train(net, optimizer)
    training.save(3)
    kept = training.ingredients()
    expected = train(net, optimizer)
    os.environ["BATON_RESUME_FROM"] = "saved/step-3"
    net, optimizer, training = made()
    assert training.resume() == 3
    assert training.ingredients() == kept
    assert train(net, optimizer) == expected
    torch.distributed.barrier()
    sys.stdout.flush()
    # A thread of gloo may abort a program that is taken apart.
    os._exit(0)


if __name__ == "__main__":
    unittest.main()
