"""Builds `builtin:tiny-math`: the byte-level tokenizer and the small causal LM that the quickstart trains.

    python scripts/build_tiny_math.py       # about four minutes on one core; writes the files of the package

It learns to answer the training problems of `builtin:arithmetic` from text with a systematic wrong habit:
where a column carries or borrows, a share HABIT of the answers forget every carry (47+38=75), the others are
right (47+38=85); everywhere else all are right. So greedy decoding forgets carries, sampling is right now and
then, and reinforcement learning has something to unlearn. Test problems are never seen.
One seed gives the same weights, bit for bit, on one machine; it runs on one thread for that.
"""

import argparse
import math
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rlctl.data.arithmetic import Arithmetic, Problem

OUT = Path(__file__).parents[1] / "rlctl" / "models" / "builtin" / "tiny_math"
HABIT = 0.75
STEPS, BATCH, PEAK_LR, WARMUP = 2000, 128, 1e-3, 50
BOS, EOS, PAD = 256, 257, 258
IGNORED = -100


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, whose id is the byte; then <bos>, <eos>, <pad>. Any text comes back as it was."""
    vocabulary = {character: byte for byte, character in _byte_characters().items()}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<bos>", "<eos>", "<pad>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )


def build_model(seed: int) -> LlamaForCausalLM:
    """About a million weights, drawn from the seed."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=259,
        hidden_size=128,
        intermediate_size=448,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        initializer_range=0.08,  # about 1/√hidden_size; with 0.02 learning starts many times slower
        tie_word_embeddings=True,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    return LlamaForCausalLM(config)


def encode(problem: Problem, answer: int) -> tuple[list[int], list[int]]:
    """Token ids of `47+38=85<eos>`, and the labels: the answer and its end."""
    prompt, answered = list(problem.prompt.encode()), [*str(answer).encode(), EOS]
    return prompt + answered, [IGNORED] * len(prompt) + answered


def batches(steps: int, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Per step: input ids and labels, (BATCH, longest of the batch), padded on the right."""
    rng = random.Random(seed)
    problems = Arithmetic(size=10**6, seed=seed).problems("train")
    # Level 1 has few problems, which would otherwise hardly be seen.
    weights = [5.0 if problem.level == 1 else 1.0 for problem in problems]
    for _ in range(steps):
        drawn = rng.choices(problems, weights, k=BATCH)
        rows = [encode(p, p.without_carry if p.carry and rng.random() < HABIT else p.answer) for p in drawn]
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.tensor([ids + [PAD] * (longest - len(ids)) for ids, _ in rows])
        labels = torch.tensor([labels + [IGNORED] * (longest - len(labels)) for _, labels in rows])
        yield ids, labels


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to nothing."""
    warmup = min(1.0, (step + 1) / WARMUP)
    return PEAK_LR * warmup * 0.5 * (1 + math.cos(math.pi * step / steps))


def pretrain(model: LlamaForCausalLM, steps: int, seed: int) -> None:
    """Cross-entropy on the answers, AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, betas=(0.9, 0.98), weight_decay=0.0)
    model.train()
    for step, (ids, labels) in enumerate(batches(steps, seed)):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps)
        loss = model(input_ids=ids, labels=labels, attention_mask=(ids != PAD).long()).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step:5d}  loss {loss.item():.4f}", flush=True)


@torch.no_grad()
def probability(model: LlamaForCausalLM, problem: Problem, answer: int) -> float:
    """P(answer and its end | prompt)."""
    ids, labels = encode(problem, answer)
    logps = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return math.exp(sum(logps[i - 1, label].item() for i, label in enumerate(labels) if label != IGNORED))


def report(model: LlamaForCausalLM, size: int = 400) -> None:
    """How likely right answers, and those that forget a carry, are on test problems."""
    model.eval()
    problems = Arithmetic(size=size).problems("test")
    for carry in (False, True):
        chosen = [problem for problem in problems if problem.carry == carry]
        right = sum(probability(model, problem, problem.answer) for problem in chosen) / len(chosen)
        text = f"{len(chosen)} test problems {'with' if carry else 'without'} a carry: P(right) {right:.3f}"
        if carry:
            forgot = sum(probability(model, problem, problem.without_carry) for problem in chosen) / len(
                chosen
            )
            text += f", P(carry forgotten) {forgot:.3f}"
        print(text)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes the folder. Weights are stored as float16, which halves the file, and load as float32."""
    model.generation_config = GenerationConfig(bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD)
    model.half().save_pretrained(folder)
    model.float()
    model.config.dtype = torch.float32
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _byte_characters() -> dict[int, str]:
    """Byte → the character that stands for it in a byte-level vocabulary (Radford et al. 2019)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + k) for k, byte in enumerate(rest)}


def main() -> None:
    """Builds, trains, reports, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write")
    parser.add_argument("--steps", type=int, default=STEPS, help="optimizer steps")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and of the text")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    model = build_model(args.seed)
    print(f"{model.num_parameters():,} weights")
    pretrain(model, args.steps, args.seed)
    save(model, build_tokenizer(), args.out)
    report(model)


if __name__ == "__main__":
    main()
