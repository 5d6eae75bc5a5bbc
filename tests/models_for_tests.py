"""Builds small real model folders: a BPE tokenizer trained on text, and about 90,000 random weights.

The text is GSM8K where `../shared/data/gsm8k` exists, else sentences made here: tests never need a network.
"""

import gzip
import json
from pathlib import Path

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
GSM8K = SHARED_DATA / "gsm8k"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def training_text() -> list[str]:
    """Maths to train a tokenizer on: 2,000 problems of GSM8K's training split, or as many made-up ones."""
    file = GSM8K / "train.jsonl.gz"
    if file.exists():
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        return [f"{row['question']}\n{row['answer']}" for row in rows[:2000]]
    # So many different words that the tokenizer gets all the tokens it may have, as from the real text.
    syllables = [
        first + vowel + last for first in "bdklmprst" for vowel in "aeiou" for last in ("n", "r", "st", "")
    ]
    names = [
        syllables[i * 7 % len(syllables)].title() + syllables[i * 11 % len(syllables)] for i in range(300)
    ]
    things = [
        syllables[i * 13 % len(syllables)] + syllables[i * 17 % len(syllables)] + "s" for i in range(400)
    ]
    return [
        f"{names[i % 300]} has {i % 97} {things[i % 400]} and buys {i % 13} more. How many are there now?\n"
        f"There are {i % 97} + {i % 13} = {i % 97 + i % 13} {things[i % 400]}.\n#### {i % 97 + i % 13}"
        for i in range(2000)
    ]


def build_model_folder(
    folder: Path, *, chat: bool = False, seed: int = 0, vocabulary: int = 1024, context: int = 1024
) -> Path:
    """Write a loadable model folder and return it.

    Args:
        folder: Where to write; created.
        chat: Give the tokenizer a ChatML template, and `<|im_end|>` as its end token.
        seed: Seed of the random weights.
        vocabulary: Tokens of the tokenizer, special ones included.
        context: Longest sequence in tokens.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(training_text(), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>" if chat else "<|endoftext|>",
        pad_token="<|pad|>",
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
    if chat:
        tokenizer.chat_template = CHAT_TEMPLATE
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
