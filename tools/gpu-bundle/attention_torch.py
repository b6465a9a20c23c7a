"""EMLoC's attention kernels for Hopper beside PyTorch's, on one card: errors against float32, equal bits twice, TFLOP/s.

    python3 attention_torch.py --kernels libs/device-cuda/kernels [--json FILE] [--quick]

Needs PyTorch and nvcc. Kernels are compiled from the checkout and launched by the driver's interface as libs/device-cuda does it.
FLOP/s count five products of the backward for everybody; ours computes the scores twice, which makes seven.
"""

import argparse
import ctypes
import json
import re
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

HEAD = 128
CUDA = ctypes.CDLL("libcuda.so.1")


def call(name, *arguments):
    status = getattr(CUDA, name)(*arguments)
    if status != 0:
        text = ctypes.c_char_p()
        CUDA.cuGetErrorName(status, ctypes.byref(text))
        raise RuntimeError(f"{name}: {text.value}")


def source_of(folder, name):
    text = (folder / name).read_text()
    return re.sub(r'^#include "([\w.-]+)"$', lambda match: source_of(folder, match[1]), text, flags=re.M)


def compile_file(folder, name, macros):
    with tempfile.TemporaryDirectory() as scratch:
        source, image = Path(scratch) / f"{name}.cu", Path(scratch) / "image"
        source.write_text(source_of(folder, f"{name}.cu"))
        target = "-gencode=arch=compute_90a,code=sm_90a"
        subprocess.run(["nvcc", "-std=c++17", "-cubin", target, *(f"-D{macro}" for macro in macros), "-o", image, source], check=True)
        return image.read_bytes()


class Kernels:
    """Functions of compiled kernel files by name."""

    def __init__(self, images):
        self.modules, self.functions = [], {}
        for image in images:
            module = ctypes.c_void_p()
            call("cuModuleLoadData", ctypes.byref(module), image)
            self.modules.append(module)

    def __getitem__(self, name):
        if name not in self.functions:
            function = ctypes.c_void_p()
            for module in self.modules:
                if CUDA.cuModuleGetFunction(ctypes.byref(function), module, name.encode()) == 0:
                    break
            else:
                raise KeyError(name)
            self.functions[name] = function
        return self.functions[name]

    @staticmethod
    def parameter(value):
        """The memory that holds it, and its address there."""
        if isinstance(value, bytes):
            packed = value
        elif isinstance(value, torch.Tensor) or value is None:
            packed = struct.pack("<Q", 0 if value is None else value.data_ptr())
        else:
            packed = struct.pack("<i" if isinstance(value, int) else "<f", value)
        memory = ctypes.create_string_buffer(len(packed) + 64)
        address = (ctypes.addressof(memory) + 63) // 64 * 64
        ctypes.memmove(address, packed, len(packed))
        return memory, address

    def launch(self, name, grid, block, shared, parameters):
        """Parameters: tensors and None (addresses), ints, floats, bytes (tensor maps, aligned to 64)."""
        kept = [self.parameter(value) for value in parameters]
        addresses = (ctypes.c_void_p * len(kept))(*(address for _, address in kept))
        function = self[name]
        if shared > 48 * 1024:
            call("cuFuncSetAttribute", function, 8, shared)
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        call("cuLaunchKernel", function, *grid, block, 1, 1, shared, stream, addresses, None)


def tensor_map(x, tile_rows):
    memory = ctypes.create_string_buffer(128 + 64)
    address = (ctypes.addressof(memory) + 63) // 64 * 64
    rows, columns = x.shape
    call(
        "cuTensorMapEncodeTiled", ctypes.c_void_p(address), 9, 2, ctypes.c_void_p(x.data_ptr()),
        (ctypes.c_uint64 * 2)(columns, rows), (ctypes.c_uint64 * 1)(columns * 2), (ctypes.c_uint32 * 2)(64, tile_rows),
        (ctypes.c_uint32 * 2)(1, 1), 0, 3, 3, 0,
    )
    return ctypes.string_at(address, 128)


class Problem:
    def __init__(self, lengths, heads, kv_heads, mask, seed=0):
        self.lengths, self.heads, self.kv_heads, self.mask = lengths, heads, kv_heads, mask
        generator = torch.Generator("cuda").manual_seed(seed)
        rows = sum(lengths)

        def normal(count):
            return torch.randn(rows, count * HEAD, device="cuda", generator=generator).bfloat16()

        self.q, self.k, self.v, self.d_out = normal(heads), normal(kv_heads), normal(kv_heads), normal(heads)
        ends = torch.tensor([0, *lengths]).cumsum(0)
        self.bounds = list(zip(ends[:-1].tolist(), ends[1:].tolist()))
        self.offsets = ends.int().cuda()
        self.scale = HEAD**-0.5

    @property
    def rows(self):
        return sum(self.lengths)

    @property
    def flops(self):
        pairs = sum(n * n if self.mask == "NONE" else n * (n + 1) / 2 for n in self.lengths)
        return 4 * pairs * self.heads * HEAD

    def reference(self):
        """out, log_sum_exp, d_q, d_k, d_v in float32, a head at a time."""
        out, d_q = torch.zeros_like(self.q, dtype=torch.float32), torch.zeros_like(self.q, dtype=torch.float32)
        d_k, d_v = torch.zeros_like(self.k, dtype=torch.float32), torch.zeros_like(self.v, dtype=torch.float32)
        log = torch.zeros(self.heads, self.rows, device="cuda")
        for start, end in self.bounds:
            hidden = torch.ones(end - start, end - start, device="cuda", dtype=torch.bool).triu(1)
            for head in range(self.heads):
                kv = head // (self.heads // self.kv_heads)
                own, other = slice(head * HEAD, head * HEAD + HEAD), slice(kv * HEAD, kv * HEAD + HEAD)
                q, k, v, g = (x[start:end, c].float() for x, c in ((self.q, own), (self.k, other), (self.v, other), (self.d_out, own)))
                scores = self.scale * (q @ k.T)
                if self.mask == "CAUSAL":
                    scores.masked_fill_(hidden, -torch.inf)
                log[head, start:end] = scores.logsumexp(1)
                p = scores.softmax(1)
                out[start:end, own] = p @ v
                d_p = g @ v.T
                d_s = p * (d_p - (p * d_p).sum(1, keepdim=True)) * self.scale
                d_q[start:end, own] = d_s @ k
                d_k[start:end, other] += d_s.T @ q
                d_v[start:end, other] += p.T @ g
        return {"out": out, "log": log, "d_q": d_q, "d_k": d_k, "d_v": d_v}


class Ours:
    """Hopper's kernels, or those of the other cards; launched as libs/device-cuda launches them."""

    def __init__(self, kernels, problem, hopper=True):
        self.kernels, self.p, self.hopper = kernels, problem, hopper
        p = problem
        self.out, self.d_q = torch.full_like(p.q, torch.nan), torch.full_like(p.q, torch.nan)
        self.d_k, self.d_v = torch.full_like(p.k, torch.nan), torch.full_like(p.k, torch.nan)
        self.log = torch.full((p.heads, p.rows), torch.nan, device="cuda")
        self.delta = torch.empty_like(self.log)
        parts = p.heads > p.kv_heads
        self.part_k = torch.empty(p.rows, p.heads * HEAD, device="cuda") if parts else None
        self.part_v = torch.empty_like(self.part_k) if parts else None
        self.grid_rows = 128 if hopper else 64
        if hopper:
            self.maps = {
                rows: [tensor_map(x, rows) for x in (p.q, p.k, p.v, p.d_out)] for rows in (64, 128)
            }

    def grid(self, heads):
        return (-(-max(self.p.lengths) // self.grid_rows), heads, len(self.p.lengths))

    def forward(self):
        p = self.p
        if not self.hopper:
            return self.kernels.launch(
                "attention_128", self.grid(p.heads), 128, 4 * 64 * 136 * 2,
                [p.q, p.k, p.v, self.out, self.log, p.offsets, p.rows, p.heads, p.kv_heads, HEAD, p.scale, 0, 0.0, None, None, 0],
            )
        q, k, v, _ = self.maps[128]
        self.kernels.launch(
            "attention_wgmma", self.grid(p.heads), 384, 256 * (128 + 4 * 128) + 1152,
            [q, k, v, self.out, self.log, p.offsets, p.rows, p.heads, p.kv_heads, p.scale, 0, None],
        )

    def backward(self):
        p = self.p
        self.run_delta()
        self.run_keys()
        if self.part_k is not None:
            for part, target in ((self.part_k, self.d_k), (self.part_v, self.d_v)):
                target.copy_(part.view(p.rows, p.kv_heads, -1, HEAD).sum(2).view_as(target))
        self.run_queries()

    def run_delta(self):
        p, warps = self.p, self.p.rows * self.p.heads
        if self.hopper:
            self.kernels.launch("attention_delta_wgmma", (-(-warps // 8), 1, 1), 256, 0, [self.out, p.d_out, self.delta, p.rows, p.heads])
        else:
            self.kernels.launch(
                "attention_delta_bfloat16", (-(-warps // 4), 1, 1), 128, 0, [self.out, p.d_out, self.delta, p.rows, p.heads, HEAD]
            )

    def common(self, query_rows, key_rows):
        p = self.p
        if not self.hopper:
            return [p.q, p.k, p.v, p.d_out, self.log, self.delta, p.offsets, p.rows, p.heads, p.kv_heads, HEAD, p.scale, 0, 0.0]
        q, _, _, g = self.maps[query_rows]
        _, k, v, _ = self.maps[key_rows]
        return [q, k, v, g, self.log, self.delta, p.offsets, p.rows, p.heads, p.kv_heads, p.scale, 0]

    def run_keys(self):
        p = self.p
        heads = p.kv_heads if self.part_k is None else p.heads
        each = p.heads // p.kv_heads if self.part_k is None else 1
        name, block, shared = (
            ("attention_keys_wgmma", 384, 256 * (2 * 128 + 6 * 64) + 3 * 512 + 1152) if self.hopper
            else ("attention_keys_128", 128, 4 * 64 * 136 * 2 + 512)
        )
        parameters = [*self.common(64, 128), self.d_k, self.d_v, self.part_k, self.part_v, each]
        self.kernels.launch(name, self.grid(heads), block, shared, parameters)

    def run_queries(self):
        name, block, shared = (
            ("attention_queries_wgmma", 384, 256 * (2 * 128 + 4 * 128) + 1152) if self.hopper
            else ("attention_queries_128", 128, 4 * 64 * 136 * 2 + 512)
        )
        self.kernels.launch(name, self.grid(self.p.heads), block, shared, [*self.common(128, 128), self.d_q])

    def both(self):
        self.forward()
        self.backward()

    def results(self):
        self.both()
        torch.cuda.synchronize()
        return {name: getattr(self, name).clone() for name in ("out", "log", "d_q", "d_k", "d_v")}


class Torch:
    def __init__(self, backend, problem):
        self.backend, p = backend, problem

        def view(x, count):
            return x.view(1, p.rows, count, HEAD).transpose(1, 2).detach().requires_grad_()

        self.q, self.k, self.v = view(p.q, p.heads), view(p.k, p.kv_heads), view(p.v, p.kv_heads)
        self.d_out, self.causal = p.d_out.view(1, p.rows, p.heads, HEAD).transpose(1, 2), p.mask == "CAUSAL"
        self.grouped = p.heads != p.kv_heads

    def forward(self):
        with sdpa_kernel(self.backend):
            self.out = F.scaled_dot_product_attention(self.q, self.k, self.v, is_causal=self.causal, enable_gqa=self.grouped)

    def backward(self):
        return torch.autograd.grad(self.out, (self.q, self.k, self.v), self.d_out, retain_graph=True)

    def both(self):
        self.forward()
        self.backward()

    def results(self):
        self.forward()
        flat = [x.transpose(1, 2).reshape(x.shape[2], -1) for x in (self.out.detach(), *self.backward())]
        return dict(zip(("out", "d_q", "d_k", "d_v"), flat))


def milliseconds(run, runs=10):
    """Of one run, the median of five replays of a graph of ten: launches cost nothing."""
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        for _ in range(runs):
            run()
    graph.replay()
    times = []
    for _ in range(5):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / runs)
    return sorted(times)[2]


def error(x, exact):
    return ((x.float() - exact).norm() / exact.norm()).item()


def check(kernels, problem, name):
    """Whether every result is within bfloat16's rounding of float32's and the same twice."""
    exact, ours = problem.reference(), Ours(kernels, problem)
    one, two = ours.results(), ours.results()
    errors = {part: error(one[part], exact[part]) for part in exact}
    same = all(torch.equal(one[part], two[part]) for part in one)
    good = same and all(value < 1e-2 for value in errors.values())
    print(f"{'ok  ' if good else 'FAIL'} {name}: {', '.join(f'{k} {v:.1e}' for k, v in errors.items())}; twice {'equal' if same else 'DIFFERENT'}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernels", type=Path, default=Path("libs/device-cuda/kernels"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="checks alone")
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.zeros(1, device="cuda")  # makes PyTorch's context the current one
    masks, hopper_files, older_files = ("NONE", "CAUSAL"), ("attention-wgmma", "attention-wgmma-backward"), ("attention", "attention-backward")
    units = {
        **{("ours", mask): [(name, [f"MASK={mask}"]) for name in hopper_files] for mask in masks},
        **{("older", mask): [(name, [f"MASK={mask}", "HEAD_WIDTH=128"]) for name in older_files] for mask in masks},
        ("no turns", "NONE"): [(name, ["MASK=NONE", "TURNS=0"]) for name in hopper_files],
    }
    with ThreadPoolExecutor(16) as pool:
        images = {key: [pool.submit(compile_file, options.kernels, *unit) for unit in value] for key, value in units.items()}
    kernels = {key: Kernels([image.result() for image in value]) for key, value in images.items()}
    good = True
    for mask in masks:
        for lengths, heads, kv_heads in (([128], 1, 1), ([64], 2, 2), ([256], 2, 1), ([1, 70, 130, 64, 300], 4, 2), ([1536], 24, 24), ([777, 1024], 28, 4)):
            good &= check(kernels["ours", mask], Problem(lengths, heads, kv_heads, mask), f"{mask.lower()} {lengths} rows, {heads}/{kv_heads} heads")
    if options.quick or not good:
        return 0 if good else 1
    rows = []

    def report(what, part, ms, flops):
        rows.append({"what": what, "part": part, "ms": ms, "tflops": flops / ms / 1e9})
        print(f"{what:<58} {part:<9} {ms:8.3f} ms {flops / ms / 1e9:7.1f} TFLOP/s", flush=True)

    for lengths, heads, kv_heads, mask in (([1536], 24, 24, "NONE"), ([4608], 24, 24, "NONE"), ([1024, 1024], 28, 4, "CAUSAL")):
        problem = Problem(lengths, heads, kv_heads, mask)
        shape = f"{len(lengths)} x {lengths[0]}, {heads}/{kv_heads}, {mask.lower()}"
        contenders = {"ours": Ours(kernels["ours", mask], problem), "ours, other cards'": Ours(kernels["older", mask], problem, hopper=False)}
        if mask == "NONE":
            contenders["ours, no turns"] = Ours(kernels["no turns", mask], problem)
        if len(lengths) == 1:
            contenders["cuDNN"] = Torch(SDPBackend.CUDNN_ATTENTION, problem)
            contenders["flash"] = Torch(SDPBackend.FLASH_ATTENTION, problem)
            exact = problem.reference()
            for name in ("ours", "cuDNN"):
                results = contenders[name].results()
                print(f"{shape}: errors of {name}: {', '.join(f'{k} {error(x, exact[k]):.2e}' for k, x in results.items())}", flush=True)
        for name, contender in contenders.items():
            try:
                forward, both = milliseconds(contender.forward), milliseconds(contender.both)
                report(f"{name}: {shape}", "forward", forward, problem.flops)
                report(f"{name}: {shape}", "backward", both - forward, 2.5 * problem.flops)
            except RuntimeError as failure:
                print(f"{name}: {shape}: {failure}")
        ours = contenders["ours"]
        for part, factor in (("keys", 2), ("queries", 1.5), ("delta", 0)):
            report(f"ours: {shape}", part, milliseconds(getattr(ours, f"run_{part}")), factor * problem.flops)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
