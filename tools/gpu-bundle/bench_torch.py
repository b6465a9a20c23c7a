"""What a PyTorch user gets at the shape of `bench gpu`: LoRA on an emulator and on the full model of 7.6 B parameters, and the published
way to factors. Random weights; prints a line a run and writes them where --json says, for `bench gpu --torch FILE`.

python3 bench_torch.py --json torch.json [--rows emulator,graph,peft,factors] [--steps 6] [--shape qwen2.5-7b] [--sequences 2] [--length 1024]
Needs torch, transformers and peft, and 40 GB of GPU memory for all rows.
"""
import argparse
import gc
import json
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

SEQUENCES, LENGTH, RANK, ALPHA, RATIO, MULTIPLE = 2, 1024, 8, 16, 0.4, 64
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
DEVICE = "cuda"


SHAPES = {
    "qwen2.5-7b": (Qwen2ForCausalLM, Qwen2Config, dict(
        hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4, vocab_size=152064,
        max_position_embeddings=32768, rms_norm_eps=1e-6, tie_word_embeddings=False, use_cache=False,
    )),
    "internvl2.5-8b-llm": (LlamaForCausalLM, LlamaConfig, dict(
        hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, vocab_size=92553,
        max_position_embeddings=32768, rms_norm_eps=1e-5, tie_word_embeddings=False, use_cache=False,
    )),
    "micro": (LlamaForCausalLM, LlamaConfig, dict(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, vocab_size=512,
        max_position_embeddings=32768, rms_norm_eps=1e-5, tie_word_embeddings=False, use_cache=False,
    )),
}
SHAPE = "qwen2.5-7b"


def config():
    _, kind, sizes = SHAPES[SHAPE]
    return kind(**sizes)


def stored_rank(linear):
    rank = int(RATIO * linear.in_features * linear.out_features / (linear.in_features + linear.out_features))
    return -(-rank // MULTIPLE) * MULTIPLE


class LowRankLora(nn.Module):
    """y = U V x + bias + s B A x; U and V frozen in bfloat16, A and B trained in float32."""

    def __init__(self, linear):
        super().__init__()
        rank = stored_rank(linear)
        self.u = nn.Parameter(torch.empty(linear.out_features, rank, dtype=torch.bfloat16, device="meta"), requires_grad=False)
        self.v = nn.Parameter(torch.empty(rank, linear.in_features, dtype=torch.bfloat16, device="meta"), requires_grad=False)
        self.bias = None if linear.bias is None else nn.Parameter(torch.empty_like(linear.bias, dtype=torch.bfloat16), requires_grad=False)
        self.lora_a = nn.Parameter(torch.empty(RANK, linear.in_features, device="meta"))
        self.lora_b = nn.Parameter(torch.empty(linear.out_features, RANK, device="meta"))

    def forward(self, x):
        base = F.linear(F.linear(x, self.v), self.u, self.bias)
        return base + (ALPHA / RANK) * F.linear(F.linear(x, self.lora_a.to(x.dtype)), self.lora_b.to(x.dtype))


def build(emulator):
    with torch.device("meta"):
        model = SHAPES[SHAPE][0]._from_config(config(), dtype=torch.bfloat16, attn_implementation="sdpa")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if emulator:
        for layer in model.model.layers:
            for parent in (layer.self_attn, layer.mlp):
                for name in LINEARS:
                    if hasattr(parent, name):
                        setattr(parent, name, LowRankLora(getattr(parent, name)))
    model.to_empty(device=DEVICE)
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            if name.endswith("norm.weight"):
                parameter.fill_(1)
            elif name.endswith("lora_b"):
                parameter.zero_()
            else:
                parameter.normal_(0, 0.02)
    rotary = model.model.rotary_emb
    model.model.rotary_emb = type(rotary)(config(), device=DEVICE)
    return model


def free():
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def train(step, parameters, steps):
    """Median seconds of a step of AdamW with clipping after three that warm up, and the peak of the allocator."""
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0, fused=True)
    times = []
    for index in range(3 + steps):
        torch.cuda.synchronize()
        start = time.perf_counter()
        step().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[3:]), torch.cuda.max_memory_allocated()


def train_graph(step, parameters, steps):
    """The same as one CUDA graph."""
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0, fused=True, capturable=True)

    def whole():
        step().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            whole()
            optimizer.zero_grad(set_to_none=True)
    torch.cuda.current_stream().wait_stream(side)
    free()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        whole()
    times = []
    for _ in range(2 + steps):
        torch.cuda.synchronize()
        start = time.perf_counter()
        graph.replay()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:]), torch.cuda.max_memory_reserved()


def batch():
    return torch.randint(0, config().vocab_size, (SEQUENCES, LENGTH), device=DEVICE)


def emulator_run(compiled, checkpointed, steps, run_steps=train):
    """The first `checkpointed` layers run their forward twice."""
    model = build(emulator=True)
    ids = batch()
    inner = model.model
    positions = torch.arange(LENGTH, device=DEVICE)[None]
    layers = [torch.compile(layer) if compiled else layer for layer in inner.layers]

    def head(hidden, targets):
        logits = model.lm_head(inner.norm(hidden))
        return F.cross_entropy(logits[:, :-1].float().flatten(0, 1), targets.flatten())

    loss_of = torch.compile(head) if compiled else head

    def step():
        hidden = inner.embed_tokens(ids)
        rotary = inner.rotary_emb(hidden, positions)

        def run(layer, x):
            out = layer(x, attention_mask=None, position_ids=positions, position_embeddings=rotary)
            return out[0] if isinstance(out, tuple) else out

        for index, layer in enumerate(layers):
            hidden = checkpoint(run, layer, hidden, use_reentrant=False, preserve_rng_state=False) if index < checkpointed else run(layer, hidden)
        return loss_of(hidden, ids[:, 1:])

    return run_steps(step, [p for p in model.parameters() if p.requires_grad], steps)


def peft_run(checkpointing, steps):
    from peft import LoraConfig, get_peft_model

    model = build(emulator=False)
    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=LINEARS, task_type="CAUSAL_LM"))
    if checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    ids = batch()
    return train(lambda: model(input_ids=ids, labels=ids).loss, [p for p in model.parameters() if p.requires_grad], steps)


def published_factors(out_features, in_features):
    """Per layer: eigh of the inputs' second moments, their root and its inverse, a singular value decomposition of W S."""
    weight = torch.randn(out_features, in_features, device=DEVICE) * 0.02
    rows = torch.randn(8192, in_features, device=DEVICE)
    moments = rows.T @ rows
    del rows
    torch.cuda.synchronize()
    start = time.perf_counter()
    values, vectors = torch.linalg.eigh(moments)
    root = vectors * values.clamp_min(1e-6).sqrt()
    inverse = torch.linalg.inv(root)
    u, s, vt = torch.linalg.svd(weight @ root, full_matrices=False)
    rank = int(RATIO * in_features * out_features / (in_features + out_features))
    factors = (u[:, :rank] * s[:rank]).bfloat16(), (vt[:rank] @ inverse).bfloat16()
    torch.cuda.synchronize()
    del factors
    return time.perf_counter() - start


def factors_run():
    published_factors(512, 512)
    shapes = [(3584, 3584), (512, 3584), (512, 3584), (3584, 3584), (18944, 3584), (18944, 3584), (3584, 18944)]
    return sum(published_factors(*shape) for shape in shapes)


def main():
    global SHAPE, SEQUENCES, LENGTH
    parser = argparse.ArgumentParser()
    parser.add_argument("--json")
    parser.add_argument("--rows", default="emulator,peft,factors")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--shape", default=SHAPE, choices=list(SHAPES))
    parser.add_argument("--sequences", type=int, default=SEQUENCES)
    parser.add_argument("--length", type=int, default=LENGTH)
    args = parser.parse_args()
    SHAPE, SEQUENCES, LENGTH = args.shape, args.sequences, args.length
    layers = config().num_hidden_layers
    torch.manual_seed(0)
    torch._dynamo.config.cache_size_limit = 64
    wanted = args.rows.split(",")
    runs = []
    if "emulator" in wanted:
        # With ten layers checkpointed the compiled model of 7.6 B stays below 14.45 GiB.
        for compiled, checkpointed in ((False, 0), (False, layers), (True, 0), (True, 10), (True, layers)):
            name = f"hand-written LoRA, ranks in 64s, {'torch.compile' if compiled else 'eager'}, {checkpointed} of {layers} layers checkpointed"
            runs.append(("train", name, lambda c=compiled, k=checkpointed: emulator_run(c, k, args.steps)))
    if "graph" in wanted:
        for checkpointed in (0, 10, layers):
            name = f"hand-written LoRA, ranks in 64s, torch.compile, one CUDA graph, {checkpointed} of {layers} layers checkpointed"
            runs.append(("graph", name, lambda k=checkpointed: emulator_run(True, k, args.steps, train_graph)))
    if "peft" in wanted:
        for checkpointing in (False, True):
            name = f"PEFT, {SEQUENCES} x {LENGTH} tokens, {'checkpointing' if checkpointing else 'all kept'}"
            runs.append(("paged", name, lambda k=checkpointing: peft_run(k, args.steps)))
    if "factors" in wanted:
        runs.append(("factors", "published route", factors_run))
    results = []
    for rival, name, run in runs:
        free()
        result = {"rival": rival, "name": name}
        try:
            measured = run()
            if rival == "factors":
                result["seconds"] = measured
            else:
                result["tokensPerSecond"], result["peakBytes"] = SEQUENCES * LENGTH / measured[0], measured[1]
        except Exception as error:  # A row that does not run is a row of its own.
            result["error"] = f"{type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else ''}"
        results.append(result)
        print(json.dumps(result), flush=True)
        if args.json:
            with open(args.json, "w") as file:
                json.dump(results, file, indent=2)
        torch._dynamo.reset()


if __name__ == "__main__":
    main()
