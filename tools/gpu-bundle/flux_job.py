"""Whole jobs on a random checkpoint in the shape of FLUX.1-dev, and what they take on the card.

python3 flux_job.py --out DIR [--vram 22GiB 12GiB] [--shape flux.1-dev] [--seconds 500] [--diffusers SRC] [-- FLAGS OF emloc tune]
Runs from a checkout, with the folder of this script as the bundle (emloc and sharp packed); names and shapes of tensors are those of examples/flux, whose
tokenizers and pictures it takes, too. The checkpoint goes to --scratch (a memory file system), adapters to --work; both are removed.
With --diffusers each adapter is merged, too, and both are compared in diffusers (flux_diffusers.py packed), whose source is in SRC.
Writes log.txt, one JSON line a stage into stages.jsonl, and a report a budget. --shape small is the same without a large card.
"""
import argparse
import json
import math
import os
import shutil
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from internvl_job import Log, Sampler

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLE = Path("examples/flux")
sys.path.insert(0, str(EXAMPLE.resolve()))
import folder as example  # noqa: E402

SHARD = 10 * 10**9
PUBLISHED = {
    "transformer": {"num_layers": 19, "num_single_layers": 38, "attention_head_dim": 128, "num_attention_heads": 24, "joint_attention_dim": 4096,
                    "pooled_projection_dim": 768, "axes_dims_rope": [16, 56, 56]},
    "clip": {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "num_hidden_layers": 12},
    "t5": {"d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_heads": 64, "num_layers": 24, "vocab_size": 32128},
    "vae": {"block_out_channels": [128, 256, 512, 512], "norm_num_groups": 32, "scaling_factor": 0.3611, "shift_factor": 0.1159, "sample_size": 1024},
}


def configs_of(shape):
    words = len(json.loads((EXAMPLE / "model/tokenizer/vocab.json").read_text()))
    pieces = len(json.loads((EXAMPLE / "model/tokenizer_2/tokenizer.json").read_text())["model"]["vocab"])
    small = {"transformer": example.TRANSFORMER, "clip": example.clip_config(words), "t5": example.t5_config(pieces), "vae": example.VAE}
    return {name: {**config, **(PUBLISHED[name] if shape == "flux.1-dev" else {})} for name, config in small.items()}


def random_tensor(name, shape, device):
    """Norms of one, biases of zero, linears that keep their input's scale, branches that do not grow the stream."""
    if len(shape) == 1:
        return (torch.ones if name.endswith("weight") else torch.zeros)(shape, device=device, dtype=torch.bfloat16)
    fan_in = math.prod(shape[1:])
    scale = 0.3 if fan_in > 768 or "embedding" in name or name.startswith("shared") else 1.0
    return torch.randn(shape, device=device, dtype=torch.bfloat16) * (scale / math.sqrt(fan_in))


def write_shard(path, tensors, device):
    """One safetensors file, a tensor at a time."""
    header, offset = {}, 0
    for name, shape in tensors:
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors:
            file.write(random_tensor(name, shape, device).cpu().contiguous().view(torch.uint8).numpy().data)
    return offset


def shards_of(tensors):
    shards, size = [[]], 0
    for name, shape in tensors:
        size += 2 * math.prod(shape)
        if size > SHARD and shards[-1]:
            shards.append([])
            size = 2 * math.prod(shape)
        shards[-1].append((name, shape))
    return shards


def write_part(path, tensors, config, device):
    path.parent.mkdir(parents=True)
    example.write_json(path.parent / "config.json", config)
    shards = shards_of(tensors)
    names = [path.name] if len(shards) == 1 else [f"{path.stem}-{n + 1:05}-of-{len(shards):05}{path.suffix}" for n in range(len(shards))]
    with ThreadPoolExecutor(4) as pool:
        sizes = list(pool.map(lambda pair: write_shard(path.parent / pair[0], pair[1], device), zip(names, shards)))
    if len(shards) > 1:
        weights = {name: file for file, shard in zip(names, shards) for name, _ in shard}
        index = {"metadata": {"total_size": sum(sizes)}, "weight_map": weights}
        example.write_json(path.with_name(path.name + ".index.json"), index)
    return sum(sizes)


def write_checkpoint(root, shape, device):
    configs = configs_of(shape)
    with torch.device("meta"):
        models = example.created(configs)
    total = 0
    for name, part in models.parts().items():
        tensors = [(key, tuple(value.shape)) for key, value in part.state_dict().items()]
        total += write_part(root / example.WEIGHTS[name], tensors, configs[name], device)
    (root / "scheduler").mkdir()
    example.write_json(root / "scheduler/scheduler_config.json", example.SCHEDULER)
    example.write_json(root / "model_index.json", example.INDEX)
    for name in ("tokenizer", "tokenizer_2"):
        shutil.copytree(EXAMPLE / "model" / name, root / name)
    return total


def tune(log, args, model, vram, flags):
    adapter, report = Path(args.work) / vram, Path(args.out) / f"report-{vram}.json"
    command = [*args.run, "emloc", "tune", "--model", str(model), "--data", str(EXAMPLE / "data/subject"), "--instance-prompt", "a photo of sks toy"]
    command += ["--out", str(adapter), "--vram", vram, "--device", args.device, "--json", *flags]
    sampler = Sampler()
    left = args.seconds - (time.perf_counter() - log.start)
    code = log.run(f"tune {vram}", command, stdout=str(report), limit=max(5, left))
    log.stage(f"peaks {vram}", **sampler.stop())
    if code == 0:
        log.stage(f"adapter {vram}", **{file.name: file.stat().st_size for file in adapter.iterdir() if file.is_file()})
        shutil.copytree(adapter, Path(args.out) / f"adapter-{vram}") if args.keep else None
        compare(log, args, model, adapter) if args.diffusers else None


def compare(log, args, model, adapter):
    """The adapter and the merged folder in diffusers, in bfloat16 and float32."""
    merged = Path(args.work) / "merged"
    log.run(f"merge {adapter.name}", [*args.run, "emloc", "merge", "--model", str(model), "--adapter", str(adapter), "--out", str(merged)])
    check = [sys.executable, os.path.join(HERE, "flux_diffusers.py"), "--model", str(model), "--adapter", str(adapter), "--merged", str(merged)]
    check += ["--diffusers", args.diffusers, "--dtype", "bfloat16", "--json", str(Path(args.out) / "diffusers.jsonl")]
    log.run(f"diffusers {adapter.name}", check)
    shutil.rmtree(merged, ignore_errors=True)


def main():
    own, flags = sys.argv[1:], []
    if "--" in own:
        own, flags = own[: own.index("--")], own[own.index("--") + 1 :]
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--vram", nargs="+", default=["22GiB", "12GiB"])
    parser.add_argument("--shape", choices=["flux.1-dev", "small"], default="flux.1-dev")
    parser.add_argument("--scratch", default="/dev/shm/emloc-flux-job")
    parser.add_argument("--work", default="/tmp/emloc-flux-job")
    parser.add_argument("--seconds", type=float, default=500)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--run", nargs="+", default=[os.path.join(HERE, "run")])
    parser.add_argument("--diffusers", help="the folder src of diffusers' source")
    parser.add_argument("--keep", action="store_true", help="keep the adapters in DIR")
    args = parser.parse_args(own)
    log = Log(args.out)
    try:
        for folder in (args.scratch, args.work):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
        model = Path(args.scratch) / "model"
        size = write_checkpoint(model, args.shape, "cuda" if torch.cuda.is_available() else "cpu")
        log.stage("checkpoint", bytes=size)
        for vram in args.vram:
            tune(log, args, model, vram, flags)
    finally:
        for folder in (args.scratch, args.work):
            shutil.rmtree(folder, ignore_errors=True)
        log.stage("end")


if __name__ == "__main__":
    main()
