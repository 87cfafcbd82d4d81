#!/usr/bin/env python3
"""Trains a small Keras model with BackupAndRestore: it knows its own flags and nothing else.

At the end of every epoch `--backup_dir` is overwritten with weights, optimizer and the epoch's number; whoever starts and
finds it goes on with the next one.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402


def network(learning_rate):
    model = keras.Sequential(
        [
            keras.Input((20,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dropout(0.1),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate), loss="mse")
    return model


class Chance(keras.callbacks.Callback):
    """All chance of an epoch, drawn anew from its number: a backup holds no generator, neither Keras's nor others."""

    def __init__(self, seed):
        super().__init__()
        self.seed = seed
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.seed_generator.state.assign([self.seed, epoch])

    def order(self, count):
        return np.random.default_rng((self.seed, self.epoch)).permutation(count)


def dataset(chance, options):
    """All points, in another order in every epoch."""
    points = np.random.default_rng(1).standard_normal((512, 20), np.float32)
    wanted = np.sin(points.sum(axis=1, keepdims=True))
    count = len(points) // options.batch_size

    def batches():
        for chosen in chance.order(len(points))[: count * options.batch_size].reshape(count, -1):
            time.sleep(options.pace)
            yield points[chosen], wanted[chosen]

    kinds = tuple(tf.TensorSpec((options.batch_size, width), tf.float32) for width in (20, 1))
    batched = tf.data.Dataset.from_generator(batches, output_signature=kinds)
    return batched.apply(tf.data.experimental.assert_cardinality(count))


class Say(keras.callbacks.Callback):
    is_told = False

    def on_epoch_begin(self, epoch, logs=None):
        if not self.is_told:
            print(f"resuming at epoch {epoch}" if epoch else "beginning anew", flush=True)
        self.is_told = True

    def on_epoch_end(self, epoch, logs=None):
        loss = float(logs["loss"])
        # By its bits, since a few digits would hide a difference.
        print(f"epoch {epoch + 1}: loss {loss:.4f} ({loss.hex()})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backup_dir", default="backup")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--learning_rate", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--pace", type=float, default=0, help="seconds to rest before each step, to have time to look")
    options = parser.parse_args()

    keras.utils.set_random_seed(options.seed)
    tf.config.experimental.enable_op_determinism()
    model = network(options.learning_rate)
    chance = Chance(options.seed)
    # Within an epoch (save_freq=100) it would keep the weights and forget the place in the data.
    saves = keras.callbacks.BackupAndRestore(options.backup_dir, save_freq="epoch")
    model.fit(
        dataset(chance, options), epochs=options.epochs, shuffle=False, verbose=0, callbacks=[saves, chance, Say()])


if __name__ == "__main__":
    main()
