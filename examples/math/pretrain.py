"""
Pretrains a Llama on word problems, and writes a task that it does not know.

    python3 examples/math/pretrain.py --out FOLDER [--size 16m|110m|tiny] [--seconds 60] [--seed 0] [--prose 24]

writes FOLDER/model (config.json, model.safetensors in bfloat16, tokenizer.json) and train.jsonl,
test.jsonl beside it. Needs PyTorch, transformers and tokenizers; a GPU for more than a trial.
"""

import argparse
import json
import os
import re
import site
import time
from multiprocessing import get_context
from pathlib import Path
from random import Random

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from problems import KINDS, STYLES, held_out, in_brackets, pretraining_text, problem, task_rows

END = '<|endoftext|>'
VOCABULARY = 4096
LENGTH = 256
# Words with the blank before them, single digits, runs of other characters.
SPLIT = Regex(r' ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+')
SIZES = {
    'tiny': {'hidden_size': 64, 'intermediate_size': 192, 'num_hidden_layers': 3, 'num_attention_heads': 4, 'num_key_value_heads': 2},
    '16m': {'hidden_size': 384, 'intermediate_size': 1024, 'num_hidden_layers': 8, 'num_attention_heads': 6, 'num_key_value_heads': 6},
    '110m': {'hidden_size': 768, 'intermediate_size': 2048, 'num_hidden_layers': 16, 'num_attention_heads': 12, 'num_key_value_heads': 12},
}
PEAK = {'tiny': 3e-3, '16m': 2e-3, '110m': 8e-4}
WORKERS = min(8, os.cpu_count() or 1)


def package_prose(megabytes: float, seed: int) -> list[str]:
    """English as it is written: documentation strings of the Python packages that are installed."""
    files = [path for folder in site.getsitepackages() for path in Path(folder).rglob('*.py')]
    Random(seed).shuffle(files)
    texts, seen, left = [], set(), int(megabytes * 1e6)
    for path in files:
        try:
            source = path.read_text('utf-8')
        except (OSError, UnicodeDecodeError):
            continue
        for text in re.findall(r'"""(.{200,6000}?)"""', source, re.DOTALL):
            lines = re.sub(r'\n[ \t]+', '\n', text).strip()
            if lines in seen:
                continue
            seen.add(lines)
            texts.append(lines)
            left -= len(lines)
        if left <= 0:
            break
    return texts


def train_tokenizer(prose: list[str]) -> Tokenizer:
    """A byte-level BPE that can encode every text; it has seen all kinds and styles."""
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(SPLIT, 'isolated'), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    random = Random(0)
    texts = []
    for _ in range(4000):
        p = problem(random)
        texts += [f'Question: {p.question}\n', in_brackets(p), random.choice(STYLES)(p)]
    tokenizer.train_from_iterator([*texts, *prose[:4000]], trainer)
    return tokenizer


def tokens_of(job: tuple[int, int, int, str]) -> list[int]:
    """Texts of one worker, one after another."""
    seed, worker, count, tokenizer_json = job
    random = Random(f'{seed}-{worker}')
    kinds, _ = held_out(seed)
    tokenizer = Tokenizer.from_str(tokenizer_json)
    end = tokenizer.token_to_id(END)
    ids = []
    for _ in range(count // 1000):
        texts = [pretraining_text(random, kinds) for _ in range(1000)]
        for encoding in tokenizer.encode_batch(texts):
            ids += [end, *encoding.ids]
    return ids


def corpus(tokenizer: Tokenizer, prose: list[str], args) -> torch.Tensor:
    """(rows, LENGTH + 1) tokens, one text behind another."""
    jobs = [(args.seed, worker, args.texts // WORKERS, tokenizer.to_str()) for worker in range(WORKERS)]
    with get_context('spawn').Pool(WORKERS) as pool:
        ids = [i for part in pool.map(tokens_of, jobs) for i in part]
    end = tokenizer.token_to_id(END)
    for start in range(0, len(prose), 1000):
        for encoding in tokenizer.encode_batch(prose[start : start + 1000]):
            ids += [end, *encoding.ids]
    rows = len(ids) // (LENGTH + 1)
    return torch.tensor(ids[: rows * (LENGTH + 1)], dtype=torch.int32).view(rows, LENGTH + 1)


def create_model(size: str, tokenizer: Tokenizer) -> LlamaForCausalLM:
    end = tokenizer.token_to_id(END)
    config = LlamaConfig(
        **SIZES[size],
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=1024,
        rope_theta=10000.0,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end,
        attn_implementation='sdpa',
    )
    return LlamaForCausalLM(config)


def peak_share(progress: float) -> float:
    """Of the learning rate: a short rise, level, and a fall over the last 40 %."""
    return min(1.0, progress / 0.03) * min(1.0, (1 - progress) / 0.4)


def train(model, rows: torch.Tensor, args) -> None:
    device = args.device
    model.to(device).train()
    rows = rows.to(device)
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    plain = [p for p in model.parameters() if p.dim() < 2]
    groups = [{'params': decayed, 'weight_decay': 0.1}, {'params': plain, 'weight_decay': 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.95), fused=device == 'cuda')
    generator = torch.Generator(device='cpu').manual_seed(args.seed)
    started, step, last = time.time(), 0, 0.0
    while (progress := (time.time() - started) / args.seconds) < 1:
        for group in optimizer.param_groups:
            group['lr'] = PEAK[args.size] * max(1e-4, peak_share(progress))
        batch = rows[torch.randint(len(rows), (args.batch,), generator=generator).to(device)].long()
        with torch.autocast(device, dtype=torch.bfloat16):
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if time.time() - started > last + 5 or step == 1:
            last = time.time() - started
            print(f'{last:6.1f} s  step {step}  loss {loss.item():.4f}', flush=True)
    print(f'{step} steps, {step * args.batch * LENGTH / 1e6:.1f}M tokens, loss {loss.item():.4f}')


def write_task(folder: Path, seed: int) -> None:
    _, kinds = held_out(seed)
    random, seen = Random(f'task {seed}'), set()
    for name, count in (('train', 7000), ('test', 512)):
        rows = task_rows(random, kinds, count, seen)
        (folder / f'{name}.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))


def write_model(folder: Path, model: LlamaForCausalLM, tokenizer: Tokenizer) -> None:
    model.to(torch.bfloat16).cpu()
    model.generation_config = GenerationConfig(eos_token_id=model.config.eos_token_id, pad_token_id=model.config.pad_token_id)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / 'tokenizer.json'))
    config = {'tokenizer_class': 'PreTrainedTokenizerFast', 'eos_token': END, 'pad_token': END, 'model_max_length': 1024}
    (folder / 'tokenizer_config.json').write_text(json.dumps(config, indent=2) + '\n')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--size', choices=list(SIZES), default='16m')
    parser.add_argument('--seconds', type=float, default=60)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--batch', type=int, default=256)
    parser.add_argument('--texts', type=int, default=240_000, help='word problems')
    parser.add_argument('--prose', type=float, default=0, help='megabytes of packages documentation beside them')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    args.out.mkdir(parents=True, exist_ok=True)
    prose = package_prose(args.prose, args.seed) if args.prose > 0 else []
    tokenizer = train_tokenizer(prose)
    rows = corpus(tokenizer, prose, args)
    model = create_model(args.size, tokenizer)
    count = sum(p.numel() for p in model.parameters())
    _, kept = held_out(args.seed)
    print(f'{count:,} parameters, {rows.numel() / 1e6:.1f}M tokens, held out: {", ".join(k.__name__ for k in kept)} of {len(KINDS)}')
    train(model, rows, args)
    write_task(args.out, args.seed)
    write_model(args.out / 'model', model, tokenizer)


if __name__ == '__main__':
    main()
