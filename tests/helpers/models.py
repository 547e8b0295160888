"""Small language models with random weights, and text for them, to test live activations."""

import warnings
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

with warnings.catch_warnings():  # transformers' own imports may warn
    warnings.simplefilter("ignore")
    import transformers
    from transformers import PreTrainedTokenizerFast

SENTENCE = "the sea is wide and a small boat sails over it while gulls cry in cold wind above grey waves"
WORDS = SENTENCE.split()
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
KINDS = {  # the model's class and options, and the special tokens around a text
    "gpt2": ("GPT2LMHeadModel", "GPT2", {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 16}, "$A"),
    "llama": ("LlamaForCausalLM", "Llama", {**SMALL, "max_position_embeddings": 16}, "<s> $A"),
    "bert": ("BertForMaskedLM", "Bert", {**SMALL, "max_position_embeddings": 16}, "<s> $A </s>"),
}


def make_texts() -> list[str]:
    """Documents of 1 to 40 words: some span several contexts, and neighbours differ widely in length."""
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, size)) for size in rng.permutation([*range(1, 13), 20, 30, 40])]


def make_tokenizer(template: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, trained on the words above, that puts special tokens around a text."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    options = {"special_tokens": SPECIAL, "initial_alphabet": alphabet, "show_progress": False}
    tokenizer.train_from_iterator(make_texts(), trainers.BpeTrainer(vocab_size=300, **options))
    known = [(token, SPECIAL.index(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=known)
    roles = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)


def save_model(folder: Path, kind: str, **more: int) -> Path:
    """Save a small random model and its tokenizer with transformers; `more` options. Returns the folder."""
    architecture, family, options, template = KINDS[kind]
    options = options | more
    tokenizer = make_tokenizer(template)
    config = getattr(transformers, f"{family}Config")(vocab_size=len(tokenizer), **options)
    torch.manual_seed(list(KINDS).index(kind))
    getattr(transformers, architecture)(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
