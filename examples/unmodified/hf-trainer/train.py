#!/usr/bin/env python3
"""Trains a tiny OPT with the Trainer of Hugging Face's transformers: it knows the Trainer's flags and nothing else.

It saves the folders `checkpoint-N` in `--output_dir`, and goes on by `--resume_from_checkpoint`, as the scripts of
transformers do. There is nothing to download: the model comes of its configuration, and the text is sums, written out.
"""

import time
from dataclasses import dataclass, field

import torch
from torch.utils.data import Dataset
from transformers import HfArgumentParser, OPTConfig, OPTForCausalLM, Trainer, TrainerCallback, TrainingArguments

TEXT = "".join(f"{a}+{b}={a + b};" for a in range(100) for b in range(0, 100, 7))
LETTERS = sorted(set(TEXT))
DATA = torch.tensor([LETTERS.index(letter) for letter in TEXT])


@dataclass
class Pace:
    pace: float = field(default=0, metadata={"help": "seconds to rest after each step, to have time to look"})


class Pieces(Dataset):
    length = 32

    def __len__(self):
        return len(DATA) // self.length

    def __getitem__(self, number):
        piece = DATA[number * self.length :][: self.length]
        return {"input_ids": piece, "labels": piece}


class ExactTrainer(Trainer):
    """Keeps the loss as it is: the Trainer's own log rounds it."""

    def compute_loss(self, model, inputs, return_outputs=False, **others):
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **others)
        self.loss = loss.item()
        return (loss, outputs) if return_outputs else loss


class Say(TrainerCallback):
    def __init__(self, pace):
        self.pace = pace
        self.trainer = None

    def on_train_begin(self, options, state, control, **others):
        print(f"resuming at step {state.global_step}" if state.global_step else "beginning anew", flush=True)

    def on_step_end(self, options, state, control, **others):
        if state.global_step % options.logging_steps == 0:
            loss = self.trainer.loss
            # By its bits, since a few digits would hide a difference.
            print(f"step {state.global_step}: loss {loss:.4f} ({loss.hex()})", flush=True)
        time.sleep(self.pace)


def main():
    options, pace = HfArgumentParser((TrainingArguments, Pace)).parse_args_into_dataclasses()
    torch.manual_seed(options.seed)
    model = OPTForCausalLM(
        OPTConfig(
            vocab_size=len(LETTERS), max_position_embeddings=Pieces.length, hidden_size=32, word_embed_proj_dim=32,
            ffn_dim=128, num_hidden_layers=2, num_attention_heads=4, dropout=0.1))
    say = Say(pace.pace)
    say.trainer = ExactTrainer(model=model, args=options, train_dataset=Pieces(), callbacks=[say])
    say.trainer.train(resume_from_checkpoint=options.resume_from_checkpoint)


if __name__ == "__main__":
    main()
