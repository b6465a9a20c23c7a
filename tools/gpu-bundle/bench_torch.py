"""What a PyTorch user gets at a shape of `bench gpu`: LoRA on an emulator and on the full model, and the published way to factors.
Random weights; prints a line a run and writes them where --json says, for `bench gpu --torch FILE`.

python3 bench_torch.py --json torch.json [--rows emulator,graph,full,peft,factors] [--steps 6] [--shape qwen2.5-7b] [--sequences 2] [--length 1024]
                       [--checkpointed 0,11,28]
Rows: emulator and full are transformers' own forward with LoRA in its linears, eager and with layers compiled; graph is the emulator's and the full
model's step at its best: layers compiled, the head in chunks of 512 rows, the whole captured as one CUDA graph, at each number of layers that
are checkpointed; peft is the library; factors the published route. Needs torch, transformers and peft, and 40 GB of GPU memory for all rows of the
default shape.
"""
import argparse
import gc
import json
import statistics
import time
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
import transformers

SEQUENCES, LENGTH, RANK, ALPHA, RATIO, MULTIPLE = 2, 1024, 8, 16, 0.4, 64
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "in_proj_qkv", "in_proj_z", "out_proj"]
HEAD_ROWS = 512
DEVICE = "cuda"


PLAIN = dict(max_position_embeddings=32768, tie_word_embeddings=False, use_cache=False)
GEMMA_KINDS = ["sliding_attention"] * 5 + ["full_attention"]
# Names of classes: a release of transformers that lacks one still measures the others.
SHAPES = {
    "qwen2.5-7b": ("Qwen2ForCausalLM", "Qwen2Config", dict(
        PLAIN, hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4, vocab_size=152064,
        rms_norm_eps=1e-6,
    )),
    "internvl2.5-8b-llm": ("LlamaForCausalLM", "LlamaConfig", dict(
        PLAIN, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, vocab_size=92553,
        rms_norm_eps=1e-5,
    )),
    "qwen3.5-9b": ("Qwen3_5ForCausalLM", "Qwen3_5TextConfig", dict(
        PLAIN, hidden_size=4096, intermediate_size=12288, num_hidden_layers=32, num_attention_heads=16, num_key_value_heads=4, head_dim=256,
        vocab_size=248320, rms_norm_eps=1e-6, linear_num_value_heads=32, linear_num_key_heads=16, linear_key_head_dim=128, linear_value_head_dim=128,
        linear_conv_kernel_dim=4, layer_types=(["linear_attention"] * 3 + ["full_attention"]) * 8,
    )),
    "gemma-4-e4b": ("Gemma4ForCausalLM", "Gemma4TextConfig", dict(
        PLAIN, hidden_size=2560, intermediate_size=10240, num_hidden_layers=42, num_attention_heads=8, num_key_value_heads=2, head_dim=256,
        global_head_dim=512, vocab_size=262144, vocab_size_per_layer_input=262144, hidden_size_per_layer_input=256, num_kv_shared_layers=18,
        sliding_window=512, layer_types=GEMMA_KINDS * 7, rms_norm_eps=1e-6, tie_word_embeddings=True,
    )),
    "micro": ("LlamaForCausalLM", "LlamaConfig", dict(
        PLAIN, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, vocab_size=512,
        rms_norm_eps=1e-5,
    )),
}
SHAPE = "qwen2.5-7b"


def config():
    _, kind, sizes = SHAPES[SHAPE]
    return getattr(transformers, kind)(**sizes)


def stored_rank(linear):
    rank = int(RATIO * linear.in_features * linear.out_features / (linear.in_features + linear.out_features))
    return -(-rank // MULTIPLE) * MULTIPLE


class Lora(nn.Module):
    """y = W x + bias + s B A x; W frozen in bfloat16, whole or as factors U V, A and B trained in float32."""

    def __init__(self, linear, low_rank):
        super().__init__()
        frozen = partial(torch.empty, dtype=torch.bfloat16, device="meta")
        rows, columns = linear.out_features, linear.in_features
        shapes = [(stored_rank(linear), columns), (rows, stored_rank(linear))] if low_rank else [(rows, columns)]
        self.weights = nn.ParameterList(nn.Parameter(frozen(*shape), requires_grad=False) for shape in shapes)
        self.bias = None if linear.bias is None else nn.Parameter(frozen(rows), requires_grad=False)
        self.lora_a = nn.Parameter(torch.empty(RANK, columns, device="meta"))
        self.lora_b = nn.Parameter(torch.empty(rows, RANK, device="meta"))

    def forward(self, x):
        base = F.linear(F.linear(x, self.weights[0]), self.weights[1], self.bias) if len(self.weights) > 1 else F.linear(x, self.weights[0], self.bias)
        return base + (ALPHA / RANK) * F.linear(F.linear(x, self.lora_a.to(x.dtype)), self.lora_b.to(x.dtype))


def build(lora=None):
    """The model on the device; `lora` is None (as it is), "emulator" or "full"."""
    with torch.device("meta"):
        model = getattr(transformers, SHAPES[SHAPE][0])._from_config(config(), dtype=torch.bfloat16, attn_implementation="sdpa")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if lora:
        for parent in list(model.model.layers.modules()):
            for name, child in list(parent.named_children()):
                if name in LINEARS and isinstance(child, nn.Linear):
                    setattr(parent, name, Lora(child, lora == "emulator"))
    model.to_empty(device=DEVICE)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.fill_(1)
            elif name.endswith("lora_b"):
                parameter.zero_()
            else:
                parameter.normal_(0, 0.02)
    restore_buffers(model)
    return model


def restore_buffers(model):
    """Buffers are computed, not loaded: a module without parameters that was emptied is made anew (rotary frequencies, scales)."""
    for path, module in list(model.named_modules()):
        if not any(True for _ in module.buffers(recurse=False)):
            continue
        parent = model.get_submodule(path.rpartition(".")[0])
        if hasattr(module, "inv_freq") or any(name.endswith("inv_freq") for name, _ in module.named_buffers(recurse=False)):
            setattr(parent, path.rpartition(".")[2], type(module)(config(), device=DEVICE))
        else:
            for name, buffer in module.named_buffers(recurse=False):
                buffer.fill_(getattr(module, "scalar_" + name, 1.0))


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
    return statistics.median(times[2:]), torch.cuda.max_memory_allocated()


def batch():
    return torch.randint(0, config().vocab_size, (SEQUENCES, LENGTH), device=DEVICE)


def chunked_loss(model, compiled):
    """Mean cross-entropy of the next token; logits exist for HEAD_ROWS rows at a time, and are made again on the way back."""

    def chunk(hidden, targets):
        logits = model.lm_head(hidden).float()
        cap = getattr(model.config, "final_logit_softcapping", None)
        logits = torch.tanh(logits / cap) * cap if cap else logits
        return F.cross_entropy(logits, targets, reduction="sum")

    part = torch.compile(chunk) if compiled else chunk

    def loss(hidden, ids):
        rows, targets = hidden[:, :-1].flatten(0, 1), ids[:, 1:].flatten()
        sums = [checkpoint(part, *pair, use_reentrant=False, preserve_rng_state=False) for pair in zip(rows.split(HEAD_ROWS), targets.split(HEAD_ROWS))]
        return torch.stack(sums).sum() / targets.numel()

    return loss


def step_run(lora, compiled, checkpointed, steps, run_steps=train):
    """transformers' own forward with LoRA in its linears. The first `checkpointed` layers run theirs twice."""
    model = build(lora).train()
    ids = batch()
    for index, layer in enumerate(model.model.layers):
        if compiled:
            layer.compile()
        if index < checkpointed:
            layer.gradient_checkpointing = True
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
    loss = chunked_loss(model, compiled)
    return run_steps(
        lambda: loss(model.model(input_ids=ids, use_cache=False).last_hidden_state, ids),
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        steps,
    )


def peft_run(checkpointing, steps):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(build(), LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=LINEARS, task_type="CAUSAL_LM"))
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
    global DEVICE, SHAPE, SEQUENCES, LENGTH
    parser = argparse.ArgumentParser()
    parser.add_argument("--json")
    parser.add_argument("--rows", default="emulator,peft,factors")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--shape", default=SHAPE, choices=list(SHAPES))
    parser.add_argument("--sequences", type=int, default=SEQUENCES)
    parser.add_argument("--length", type=int, default=LENGTH)
    parser.add_argument("--checkpointed", help="numbers of layers, such as 0,11,28")
    parser.add_argument("--device", default=DEVICE)
    args = parser.parse_args()
    DEVICE, SHAPE, SEQUENCES, LENGTH = args.device, args.shape, args.sequences, args.length
    layers = config().num_hidden_layers
    torch.manual_seed(0)
    torch._dynamo.config.cache_size_limit = 128
    wanted = args.rows.split(",")
    runs = []
    # With eleven of 28 layers checkpointed the graphed emulator of 7.6 B stays below 14.45 GiB.
    counts = [int(count) for count in args.checkpointed.split(",")] if args.checkpointed else [0, round(layers * 11 / 28), layers]
    for lora, rival in (("emulator", "train"), ("full", "paged")):
        if lora in wanted:
            for compiled, checkpointed in ((False, 0), (False, layers), (True, 0), (True, layers)):
                name = f"LoRA on the {lora}, {'torch.compile' if compiled else 'eager'}, {checkpointed} of {layers} layers checkpointed"
                runs.append((rival, name, partial(step_run, lora, compiled, checkpointed, args.steps)))
        if "graph" in wanted:
            for checkpointed in counts:
                name = f"LoRA on the {lora}, torch.compile, one CUDA graph, {checkpointed} of {layers} layers checkpointed"
                runs.append((rival, name, partial(step_run, lora, True, checkpointed, args.steps, train_graph)))
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
