"""FLUX.1-dev's transformer in PyTorch, written by hand: what a step of LoRA takes on an emulator and on the full model, and one forward
of sampling. Random weights of the published shape, batch 1, 512 rows of text; prints a line a run and writes them where --json says,
for `bench gpu --shape flux.1-dev --torch FILE`.

    python3 bench_flux_torch.py --json torch.json [--sizes 512,1024] [--rows train,full,sample] [--steps 8]

Every row runs as it is (eager), as one CUDA graph, compiled and compiled as one CUDA graph, as far as --ways says; attention is that of
SDPA's backends which is fastest here at that size. Needs torch alone, and 40 GB of GPU memory for all rows.
"""

import argparse
import gc
import json
import math
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

WIDTH, HEADS, HEAD, TEXT = 3072, 24, 128, 512
DOUBLE, SINGLE = 19, 38
RANK, RATIO, MULTIPLE = 4, 0.45, 64
DEVICE, DTYPE = "cuda", torch.bfloat16


def frozen(*shape, deviation=0.02):
    return nn.Parameter(torch.randn(*shape, device=DEVICE, dtype=DTYPE).mul_(deviation), requires_grad=False)


class Linear(nn.Module):
    """y = W x + b, W as U V where `ratio` says so, and B A x where it is adapted; A and B trained in float32."""

    def __init__(self, inner, outer, ratio=None, adapted=False):
        super().__init__()
        self.bias = frozen(outer, deviation=0.01)
        if ratio is None:
            self.weight = frozen(outer, inner)
        else:
            rank = int(ratio * inner * outer / (inner + outer))
            rank = -(-rank // MULTIPLE) * MULTIPLE
            self.u, self.v = frozen(outer, rank, deviation=0.03), frozen(rank, inner)
        self.ratio, self.adapted = ratio, adapted
        if adapted:
            self.a = nn.Parameter(torch.randn(RANK, inner, device=DEVICE) / RANK)
            self.b = nn.Parameter(torch.zeros(outer, RANK, device=DEVICE))

    def forward(self, x):
        y = F.linear(x, self.weight, self.bias) if self.ratio is None else F.linear(F.linear(x, self.v), self.u, self.bias)
        return y + F.linear(F.linear(x, self.a.to(x.dtype)), self.b.to(x.dtype)) if self.adapted else y


def norm(x, scale, shift):
    return F.layer_norm(x, (WIDTH,), eps=1e-6) * (1 + scale) + shift


def heads_of(x):
    return x.view(x.shape[0], x.shape[1], HEADS, HEAD).transpose(1, 2)


def rotate(x, cos, sin):
    """Adjacent pairs; tables (rows, 64) in float32."""
    pair = x.float().unflatten(-1, (-1, 2))
    a, b = pair[..., 0], pair[..., 1]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2).to(x.dtype)


def attend(q, k, v, rope):
    q, k = rotate(q, *rope), rotate(k, *rope)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class HeadNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HEAD, device=DEVICE, dtype=DTYPE), requires_grad=False)

    def forward(self, x):
        return F.rms_norm(x, (HEAD,), self.weight, 1e-6)


class Stream(nn.Module):
    """What a double block has for the image's rows, and again for the text's."""

    def __init__(self, ratio, adapted):
        super().__init__()
        self.modulation = Linear(WIDTH, 6 * WIDTH, ratio)
        self.q, self.k, self.v, self.out = (Linear(WIDTH, WIDTH, ratio, adapted) for _ in range(4))
        self.norm_q, self.norm_k = HeadNorm(), HeadNorm()
        self.up, self.down = Linear(WIDTH, 4 * WIDTH, ratio, adapted), Linear(4 * WIDTH, WIDTH, ratio, adapted)

    def operands(self, u):
        return self.norm_q(heads_of(self.q(u))), self.norm_k(heads_of(self.k(u))), heads_of(self.v(u))


class DoubleBlock(nn.Module):
    def __init__(self, ratio, adapted):
        super().__init__()
        self.text, self.image = Stream(ratio, adapted), Stream(ratio, adapted)

    def forward(self, y, x, vec, rope):
        streams = ((self.text, y), (self.image, x))
        modulations = [stream.modulation(vec).chunk(6, -1) for stream, _ in streams]
        operands = [stream.operands(norm(z, m[1], m[0])) for (stream, z), m in zip(streams, modulations)]
        o = attend(*(torch.cat(pair, 2) for pair in zip(*operands)), rope)
        results = []
        for (stream, z), m, rows in zip(streams, modulations, (o[:, :TEXT], o[:, TEXT:])):
            z = z + m[2] * stream.out(rows)
            results.append(z + m[5] * stream.down(F.gelu(stream.up(norm(z, m[4], m[3])), approximate="tanh")))
        return results


class SingleBlock(nn.Module):
    def __init__(self, ratio, adapted):
        super().__init__()
        self.modulation = Linear(WIDTH, 3 * WIDTH, ratio)
        self.q, self.k, self.v = (Linear(WIDTH, WIDTH, ratio, adapted) for _ in range(3))
        self.norm_q, self.norm_k = HeadNorm(), HeadNorm()
        self.up, self.out = Linear(WIDTH, 4 * WIDTH, ratio), Linear(5 * WIDTH, WIDTH, ratio)

    def forward(self, z, vec, rope):
        shift, scale, gate = self.modulation(vec).chunk(3, -1)
        u = norm(z, scale, shift)
        o = attend(self.norm_q(heads_of(self.q(u))), self.norm_k(heads_of(self.k(u))), heads_of(self.v(u)), rope)
        return z + gate * self.out(torch.cat((o, F.gelu(self.up(u), approximate="tanh")), -1))


def perceptron(inner):
    return nn.Sequential(Linear(inner, WIDTH), nn.SiLU(), Linear(WIDTH, WIDTH))


class Flux(nn.Module):
    def __init__(self, ratio, adapted, compiled, checkpointed):
        super().__init__()
        self.image, self.text = Linear(64, WIDTH), Linear(4096, WIDTH)
        self.time, self.guidance, self.pooled = perceptron(256), perceptron(256), perceptron(768)
        self.double_blocks = nn.ModuleList(DoubleBlock(ratio, adapted) for _ in range(DOUBLE))
        self.single_blocks = nn.ModuleList(SingleBlock(ratio, adapted) for _ in range(SINGLE))
        self.modulation, self.out = Linear(WIDTH, 2 * WIDTH), Linear(WIDTH, 64)
        self.checkpointed = checkpointed
        if compiled:
            for block in (*self.double_blocks, *self.single_blocks):
                block.compile()

    def run(self, block, *inputs):
        return checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False) if self.checkpointed else block(*inputs)

    def forward(self, inputs):
        vec = F.silu(self.time(inputs["time"]) + self.guidance(inputs["guidance"]) + self.pooled(inputs["pooled"]))[:, None]
        x, y, rope = self.image(inputs["latents"]), self.text(inputs["prompt"]), inputs["rope"]
        for block in self.double_blocks:
            y, x = self.run(block, y, x, vec, rope)
        z = torch.cat((y, x), 1)
        for block in self.single_blocks:
            z = self.run(block, z, vec, rope)
        scale, shift = self.modulation(vec).chunk(2, -1)
        return self.out(norm(z[:, TEXT:], scale, shift))


def rope_tables(side):
    ids = torch.zeros(TEXT + side * side, 3, dtype=torch.float64)
    ids[TEXT:, 1] = torch.arange(side, dtype=torch.float64).repeat_interleave(side)
    ids[TEXT:, 2] = torch.arange(side, dtype=torch.float64).repeat(side)
    angles = torch.cat(
        [ids[:, axis, None] * 10000 ** (-torch.arange(0, n, 2, dtype=torch.float64) / n) for axis, n in enumerate((16, 56, 56))], -1
    )
    return angles.cos().float().to(DEVICE), angles.sin().float().to(DEVICE)


def sinusoid(x):
    frequencies = torch.exp(-math.log(10000) * torch.arange(128, device=DEVICE) / 128)
    return torch.cat((torch.cos(1000 * x * frequencies), torch.sin(1000 * x * frequencies)))[None].to(DTYPE)


def make_inputs(size):
    side = size // 16

    def normal(*shape):
        return torch.randn(*shape, device=DEVICE, dtype=DTYPE)

    return {
        "latents": normal(1, side * side, 64), "target": normal(1, side * side, 64), "prompt": normal(1, TEXT, 4096),
        "pooled": normal(1, 768), "time": sinusoid(0.537), "guidance": sinusoid(1.0), "rope": rope_tables(side),
    }


def fastest_backend(size, needs_gradient):
    """Of SDPA's, by its time at this size."""
    rows, times = TEXT + (size // 16) ** 2, {}
    q, k, v = (torch.randn(1, HEADS, rows, HEAD, device=DEVICE, dtype=DTYPE, requires_grad=needs_gradient) for _ in range(3))
    for backend in (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION):
        try:
            with sdpa_kernel(backend):
                for index in range(13):
                    if index == 3:
                        torch.cuda.synchronize()
                        start = time.perf_counter()
                    out = F.scaled_dot_product_attention(q, k, v)
                    if needs_gradient:
                        torch.autograd.grad(out, (q, k, v), out)
                torch.cuda.synchronize()
            times[backend] = time.perf_counter() - start
        except RuntimeError:
            continue
    return min(times, key=times.get)


def free():
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def measure(work, steps, as_graph):
    """Median seconds after three that warm up, and the peak of what PyTorch holds."""
    if as_graph:
        side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                work()
        torch.cuda.synchronize()
        free()
        with torch.cuda.graph(graph):
            work()
        run = graph.replay
    else:
        run = work
    times = []
    for _ in range(3 + steps):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[3:]), torch.cuda.max_memory_reserved() if as_graph else torch.cuda.max_memory_allocated()


def train_work(model, inputs, micro_batches=1):
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=1e-4, fused=True, capturable=True)

    def work():
        optimizer.zero_grad(set_to_none=True)
        for _ in range(micro_batches):
            (F.mse_loss(model(inputs).float(), inputs["target"].float()) / micro_batches).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()

    return work


def run_row(kind, size, way, steps):
    compiled, as_graph = "compiled" in way, "graph" in way
    torch.manual_seed(0)
    model = Flux(RATIO if kind == "train" else None, kind != "sample", compiled, kind == "full")
    inputs = make_inputs(size)
    with sdpa_kernel(fastest_backend(size, kind != "sample")):
        if kind == "sample":
            with torch.no_grad():
                return measure(lambda: model(inputs), steps, as_graph)
        return measure(train_work(model, inputs), steps, as_graph)


WAYS = {"eager": "eager", "graph": "one CUDA graph", "compiled": "compiled", "compiled-graph": "compiled, one CUDA graph"}
TITLES = {
    "train": "hand-written LoRA of rank 4, ratio 0.45, ranks in 64s",
    "full": "the full model, all blocks checkpointed",
    "sample": "the full model",
}
RIVALS = {"train": "train", "full": "paged", "sample": "sample"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json")
    parser.add_argument("--rows", default="train,full,sample")
    parser.add_argument("--sizes", default="512,1024")
    parser.add_argument("--ways", default="graph,compiled-graph")
    parser.add_argument("--steps", type=int, default=8)
    args = parser.parse_args()
    torch._dynamo.config.cache_size_limit = 64
    results = []
    for kind in args.rows.split(","):
        for size in map(int, args.sizes.split(",")):
            if kind == "full" and size > 512:
                continue  # the full model is compared at 512² alone
            for way in args.ways.split(","):
                free()
                result = {"rival": RIVALS[kind], "size": size, "name": f"{TITLES[kind]}, {WAYS[way]}"}
                try:
                    result["seconds"], result["peakBytes"] = run_row(kind, size, way, args.steps)
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
