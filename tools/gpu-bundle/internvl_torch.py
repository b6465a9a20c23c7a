"""What transformers and PEFT make of InternVL checkpoints in their own layout.

python3 internvl_torch.py train --model DIR --json FILE [--steps 6]    LoRA on the LLM of the full model, checkpointing, one image of 7 tiles a row
python3 internvl_torch.py check --model DIR --adapter DIR --merged DIR [--json FILE]    logits of adapter and merged checkpoint, float32
python3 internvl_torch.py check --dtype bfloat16 ...    the same in bfloat16, beside what that dtype changes in PyTorch itself
Prints a JSON line a result and appends it to FILE.
"""
import argparse
import json
import statistics
import time

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForImageTextToText

TARGETS = r".*language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def report(file, **result):
    line = json.dumps(result)
    print(line, flush=True)
    if file:
        with open(file, "a") as out:
            out.write(line + "\n")


def load(folder, dtype, device=DEVICE):
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype).to(device)


def inputs(model, tiles, length, device=DEVICE):
    """A row of random tokens, the first of which stand for tiles of random pixels."""
    config = model.config
    side = config.vision_config.image_size[0]
    image = tiles * config.image_seq_length
    token = config.image_token_id
    text = torch.randint(token + 1, config.text_config.vocab_size, (1, length - image), device=device)
    ids = torch.cat([text[:, :4], torch.full((1, image), token, device=device), text[:, 4:]], 1)
    pixels = torch.randn(tiles, 3, side, side, device=device, dtype=model.dtype)
    return {"input_ids": ids, "pixel_values": pixels, "attention_mask": torch.ones_like(ids)}


def wait():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def train(args):
    model = load(args.model, torch.bfloat16)
    row = inputs(model, args.tiles, args.length)
    labels = row["input_ids"].clone()
    labels[:, : -(args.length // 16)] = -100
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=8, target_modules=TARGETS))
    model.enable_input_require_grads()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=4e-5, weight_decay=0)
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(args.warmup + args.steps):
        wait()
        start = time.perf_counter()
        for _ in range(args.accumulate):
            (model(**row, labels=labels).loss / args.accumulate).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        wait()
        times.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() if DEVICE == "cuda" else None
    seconds = statistics.median(times[args.warmup :])
    report(
        args.json, name="PEFT on the full model, gradient checkpointing, its tower run in every step", tokens=args.length * args.accumulate,
        tokensPerSecond=args.length * args.accumulate / seconds, seconds=times, peakBytes=peak, trained=sum(p.numel() for p in parameters),
    )


def logits_of(args, row, *, folder=None, adapter=None, dtype=torch.float32):
    """In float32 on the host, of a model that is loaded for this alone."""
    device = "cpu" if args.dtype == "float32" else DEVICE
    model = load(folder or args.model, dtype, device).eval()
    if adapter:
        model = PeftModel.from_pretrained(model, adapter).eval()
    kinds = {"pixel_values": dtype}
    with torch.no_grad():
        return model(**{name: value.to(device, kinds.get(name, value.dtype)) for name, value in row.items()}).logits.float().cpu()


def check(args):
    torch.manual_seed(0)
    shape = AutoModelForImageTextToText.from_pretrained(args.model, dtype=torch.bfloat16)
    row = inputs(shape, 2, 2 * shape.config.image_seq_length + 24, "cpu")
    del shape
    of = lambda **what: logits_of(args, row, **what)
    plain, adapted = of(), of(adapter=args.adapter)
    effect = (adapted - plain).abs().max().item()
    if args.dtype == "float32":
        difference = (adapted - of(folder=args.merged)).abs().max().item()
        report(args.json, name="adapter by PEFT, merged checkpoint by transformers", largestLogit=adapted.abs().max().item(), difference=difference, effectOfAdapter=effect)
        assert effect > 10 * difference, "the adapter changes nothing"
        assert difference < 1e-3, "logits of the merged checkpoint differ"
        return
    # Relative to the norm of all logits, since the largest difference of millions is noise.
    relative = lambda found: ((found - adapted).norm() / adapted.norm()).item()
    own = relative(of(adapter=args.adapter, dtype=torch.bfloat16))
    merged = relative(of(folder=args.merged, dtype=torch.bfloat16))
    report(
        args.json, name="bfloat16: adapter by PEFT, merged checkpoint by transformers, each against the adapter in float32", own=own, merged=merged,
        mergedInFloat32=relative(of(folder=args.merged)), effectOfAdapter=relative(plain),
    )
    assert relative(plain) > relative(of(folder=args.merged)), "the adapter changes less than rounding the merged weights"
    assert merged < 1.25 * own, "logits of the merged checkpoint differ by more than bfloat16 does"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["train", "check"])
    for name in ("model", "adapter", "merged", "json"):
        parser.add_argument(f"--{name}")
    for name, value in (("steps", 4), ("warmup", 1), ("accumulate", 2), ("tiles", 7), ("length", 2048)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    args = parser.parse_args()
    {"train": train, "check": check}[args.what](args)


if __name__ == "__main__":
    main()
