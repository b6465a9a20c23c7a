"""Makes small random models and what transformers computes with them: "goldens".

    python tools/goldens/make.py make OUT [NAME...] [--layers N]   folders OUT/NAME from recipes/NAME.json (all without NAME)
    python tools/goldens/make.py check FOLDER...                   golden.json again from config and weights: prints how far off it is

Needs torch and transformers, a processor is enough. A folder has config.json, model.safetensors (bf16) and golden.json
(README.md tells its fields). Numbers come from the folder as it was written, in float32 with eager attention.

A recipe: `class` of transformers, its `config`, `seed`, and where needed: `sequences` (lengths, default 48 and 17), `layout`
("internlm2", "internlm3": the class is Llama's, the folder is written as those have it), `written` (what config.json
has instead of what the class would write; `unwritten` keys are left out, "text_config.KEY" within it). `rename` gives tensors
of the folder other prefixes; with it, `original` is what OUT/NAME-original-layout has written and unwritten, and there
tensors keep the names that the class writes. The golden.json in OUT/NAME is for both. `float32` are ends of the names of tensors
that are stored so, and `beside` tensors, by name with their shape, that the class does not read. `images` (InternVL): how many tiles its one
sequence has; OUT/NAME-original-layout is then the layout of internvl.py.
"""

import argparse
import json
import math
import pathlib
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

import internvl
import layouts

RANK, ALPHA = 4, 8
ORIGINAL = "-original-layout"
RECIPES = pathlib.Path(__file__).parent / "recipes"


def set_random_weights(model, seed, scaled):
    """
    Values that show mistakes: logits of several units, norms around their neutral value, biases that are not 0.
    `scaled` has factors by the end of a name: of what a block adds to its input, say, without which a model of many branches
    makes so much of a rounding that nothing can be compared in bf16.
    """
    generator = torch.Generator().manual_seed(seed)
    # Norms of Gemma 1 to 3 and Qwen3.5 multiply by 1 + w, but for the one of Qwen's delta nets.
    offset = model.config.model_type.startswith(("gemma", "qwen3_5")) and "gemma4" not in model.config.model_type
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name and parameter.dim() == 1:
            values = (0.0 if offset and ".linear_attn." not in name else 1.0) + 0.2 * noise
        elif name.endswith(".A_log"):
            values = noise
        elif parameter.dim() == 1:
            values = 0.1 * noise
        elif "embed" in name:
            values = 0.5 * noise
        else:
            values = 1.2 / math.sqrt(parameter[0].numel()) * noise
        values = values * next((factor for end, factor in scaled.items() if name.endswith(end)), 1.0)
        parameter.data.copy_(values.to(torch.bfloat16).to(parameter.dtype))
    for name, buffer in model.named_buffers():
        if name.endswith(".layer_scalar"):
            buffer.copy_((0.8 + 0.1 * torch.randn(1, generator=generator)).to(torch.bfloat16))


def create(recipe, layers):
    values = dict(recipe["config"])
    text = values["text_config"] if "text_config" in values else values
    if layers is not None:
        text["num_hidden_layers"] = layers
        # Made for fewer layers: let the class derive it again.
        text.pop("layer_types", None)
    model_class = getattr(transformers, recipe["class"])
    config = model_class.config_class(**values)
    config.dtype = torch.bfloat16
    model = model_class._from_config(config, dtype=torch.float32, attn_implementation="eager")
    if "images" in recipe:
        internvl.set_random_weights(model, recipe["seed"])
    else:
        set_random_weights(model, recipe["seed"], recipe.get("scaled", {}))
    return model


def write(model, recipe, folder):
    layout = recipe.get("layout")
    if layout is not None:
        config, tensors = layouts.write(layout, model)
        tensors = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in tensors.items()}
        write_folder(folder, config, tensors, recipe)
        return
    with tempfile.TemporaryDirectory() as temporary:
        model.to(torch.bfloat16).save_pretrained(temporary)
        config = json.loads((pathlib.Path(temporary) / "config.json").read_text())
        tensors = load_file(pathlib.Path(temporary) / "model.safetensors")
    for part in ("text_config", "vision_config"):
        if part in config:
            config[part]["dtype"] = "bfloat16"
    renamed = {rename(name, recipe.get("rename", {})): tensor for name, tensor in tensors.items()}
    renamed |= beside(recipe)
    for name in renamed:
        if name.endswith(tuple(recipe.get("float32", []))):
            renamed[name] = renamed[name].float()
    write_folder(folder, config, renamed, recipe)
    if "images" in recipe:
        write_folder(folder.with_name(folder.name + ORIGINAL), *internvl.to_original(config, tensors), {})
    if "original" in recipe:
        write_folder(folder.with_name(folder.name + ORIGINAL), config, tensors, recipe["original"])


def beside(recipe):
    generator = torch.Generator().manual_seed(recipe["seed"] + 2)
    shapes = recipe.get("beside", {})
    return {name: torch.randn(shape, generator=generator).to(torch.bfloat16) for name, shape in shapes.items()}


def rename(name, prefixes):
    for prefix, other in prefixes.items():
        if name.startswith(prefix):
            return other + name[len(prefix) :]
    return name


def write_folder(folder, config, tensors, changes):
    folder.mkdir(parents=True)
    config = json.loads(json.dumps(config))
    for path in changes.get("unwritten", []):
        *parts, key = path.split(".")
        (config[parts[0]] if parts else config).pop(key)
    for key, value in changes.get("written", {}).items():
        if isinstance(value, dict) and key in ("text_config", "vision_config"):
            config[key].update(value)
        else:
            config[key] = value
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def is_rebuilt(config):
    """Of a family that transformers does not have."""
    return config["model_type"] in ("internlm2", "internlm3")


def load(folder, dtype=torch.float32):
    """The model and its linear layers: path of the folder's layout -> parts [(module, rows)]."""
    config = json.loads((folder / "config.json").read_text())
    if is_rebuilt(config):
        model = layouts.read(config, load_file(folder / "model.safetensors"))
        return model.eval(), layouts.linears(config, model)
    name = config["architectures"][0]
    model = getattr(transformers, name).from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    linears = {
        path: [(module, torch.arange(module.out_features))]
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and ".layers." in path and "vis" not in path and "audio" not in path
    }
    return model.eval(), linears


def attach_lora(linears):
    """Adds LoRA to every linear layer. Returns path -> (A, B); a fused layer has one pair for its parts."""
    adapters = {}
    for path, parts in linears.items():
        inner = parts[0][0].in_features
        outer = sum(len(rows) for _, rows in parts)
        a = torch.sin(0.37 * arange(RANK * inner)).reshape(RANK, inner) / math.sqrt(inner)
        b = 0.02 * torch.cos(0.73 * arange(outer * RANK)).reshape(outer, RANK)
        a, b = a.float(), b.float()
        adapters[path] = (a.requires_grad_(), b.requires_grad_())
        for module, rows in parts:
            module.register_forward_hook(lora_hook(*adapters[path], rows))
    return adapters


def arange(count):
    """In float64: angles of thousands of radians lose digits in float32."""
    return torch.arange(count, dtype=torch.float64)


def lora_hook(a, b, rows):
    return lambda module, inputs, output: output + ALPHA / RANK * (inputs[0] @ a.T.to(output.dtype)) @ b[rows].T.to(output.dtype)


def logits_of(model, ids):
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()


def losses_of(logits, ids):
    """Cross-entropy of every next token."""
    return torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="none")


def rounded(values, digits=6):
    return [round(value, digits) for value in values.tolist()]


def measure_sequence(model, ids):
    logits = logits_of(model, ids)
    last = len(ids) - 1
    return {
        "ids": ids,
        "nll_mean": losses_of(logits, ids).mean().item(),
        "logsumexp": rounded(logits.logsumexp(-1)),
        "argmax": logits.argmax(-1).tolist(),
        "last_first_32": rounded(logits[-1, :32]),
        "first_first_8": rounded(logits[0, :8]),
        "rows": {str(row): rounded(logits[row]) for row in (len(ids) // 2, last)},
    }


def measure_lora(model, linears, sequences):
    model.requires_grad_(False)
    adapters = attach_lora(linears)
    losses = torch.cat([losses_of(logits_of(model, ids), ids) for ids in sequences])
    losses.mean().backward()
    return {
        "init": f"rank {RANK}, alpha {ALPHA}; A[k]=sin(0.37 k)/sqrt(in), B[k]=0.02 cos(0.73 k), "
        "k the row-major index; A is (r,in), B is (out,r)",
        "loss": "mean cross entropy over all tokens of all sequences",
        "value": losses.mean().item(),
        "grads": gradients(adapters),
    }, adapters


def gradients(adapters):
    return {
        path: {
            "A_norm": a.grad.norm().item(),
            "B_norm": b.grad.norm().item(),
            "A_first": a.grad.flatten()[:4].tolist(),
            "B_first": b.grad.flatten()[:4].tolist(),
        }
        for path, (a, b) in adapters.items()
    }


def measure_rounded_factor(model, ids):
    """What a program computes that rounds Gemma's embedding factor to bf16, as a run in bf16 does."""
    embedding = model.get_input_embeddings()
    exact = embedding.embed_scale.clone()
    embedding.embed_scale.copy_(exact.to(torch.bfloat16).to(exact.dtype))
    factor = embedding.embed_scale.item()
    logits = logits_of(model, ids)
    embedding.embed_scale.copy_(exact)
    return {
        "sequence": 0,
        "factors": [factor],
        "nll_mean": losses_of(logits, ids).mean().item(),
        "last_first_32": rounded(logits[-1, :32]),
    }


def largest_error(exact, rounded_ones):
    """Of LoRA's gradients: of a norm, or of the first four values beside what values of that norm are on average (compare.ts)."""

    def error(was, now):
        first, norm = was.flatten()[:4], was.norm()
        usual = norm * math.sqrt(len(first) / was.numel())
        return max(abs(now.norm() - norm) / norm, (now.flatten()[:4] - first).norm() / max(first.norm(), usual)).item()

    return max(error(one.grad, other.grad) for path in exact for one, other in zip(exact[path], rounded_ones[path]))


def how():
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
    return f"{versions}, float32 on CPU, eager attention; weights are bf16 values"


def measure(folder, sequences):
    model, linears = load(folder)
    golden = {
        "how": how(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    with torch.no_grad():
        golden["sequences"] = [measure_sequence(model, ids) for ids in sequences]
        if hasattr(model.get_input_embeddings(), "embed_scale"):
            golden["embedding_factor_rounded_to_bf16"] = measure_rounded_factor(model, sequences[0])
    golden["lora"], exact = measure_lora(model, linears, sequences)
    if not is_rebuilt(json.loads((folder / "config.json").read_text())):
        _, rounded_ones = measure_lora(*load(folder, torch.bfloat16), sequences)
        golden["in_bfloat16"] = {"gradients": round(largest_error(exact, rounded_ones), 3)}
    return golden


def measure_images(folder, recipe):
    """Golden of one sequence with all tiles, and the tiles themselves in pixels.safetensors."""
    model = getattr(transformers, recipe["class"]).from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    config, tiles = model.eval().config, recipe["images"]
    side = config.vision_config.image_size[0]
    generator = torch.Generator().manual_seed(recipe["seed"] + 1)
    pixels = torch.randn(tiles, 3, side, side, generator=generator).to(torch.bfloat16)
    save_file({"pixels": pixels}, folder / "pixels.safetensors")
    token = [config.image_token_id] * config.image_seq_length
    answer = torch.randint(6, config.text_config.vocab_size, (20,), generator=generator).tolist()
    # One image of all tiles but the last, which is another image.
    ids = [7, 9] + token * (tiles - 1) + [11, 12] + token + [13] + answer
    labels = [-100] * (len(ids) - len(answer)) + answer
    run = lambda: model(input_ids=torch.tensor([ids]), pixel_values=pixels.float(), use_cache=False).logits[0]
    with torch.no_grad():
        logits = run()
        features = model.model.get_image_features(pixel_values=pixels.float(), return_dict=True).pooler_output
    linears = {
        path: [(module, torch.arange(module.out_features))]
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and path != "lm_head"
    }
    return {
        "ids": ids,
        "labels": labels,
        "pixels": f"pixels.safetensors, bfloat16 ({tiles} tiles, 3, {side}, {side}), already normalised; tiles fill the "
        f"image tokens (id {config.image_token_id}) in order",
        "image_features": {
            "shape": list(features.shape),
            "first_16": features.flatten()[:16].tolist(),
            "norm": features.norm().item(),
        },
        "logsumexp": rounded(logits.logsumexp(-1)),
        "argmax": logits.argmax(-1).tolist(),
        "last_first_32": rounded(logits[-1, :32]),
        "first_first_8": rounded(logits[0, :8]),
        "lora": measure_images_lora(model, linears, run, labels),
    }


def measure_images_lora(model, linears, run, labels):
    model.requires_grad_(False)
    adapters = attach_lora(linears)
    loss = torch.nn.functional.cross_entropy(run()[:-1], torch.tensor(labels[1:]))
    loss.backward()
    return {
        "loss": "mean cross entropy over labels that are not -100",
        "value": loss.item(),
        "grads": gradients(adapters),
    }


def make(out, names, layers):
    for name in names or sorted(path.stem for path in RECIPES.glob("*.json")):
        recipe = json.loads((RECIPES / f"{name}.json").read_text())
        folder = out / name
        write(create(recipe, layers), recipe, folder)
        if "images" in recipe:
            golden = {"how": how(), **measure_images(folder, recipe)}
            (folder / "golden.json").write_text(json.dumps(golden) + "\n")
            print(f"{name}: loss {round(golden['lora']['value'], 3)}")
            continue
        vocabulary = recipe["config"].get("text_config", recipe["config"])["vocab_size"]
        generator = torch.Generator().manual_seed(recipe["seed"] + 1)
        sequences = [
            torch.randint(3, vocabulary, (length,), generator=generator).tolist()
            for length in recipe.get("sequences", [48, 17])
        ]
        golden = measure(folder, sequences)
        (folder / "golden.json").write_text(json.dumps(golden) + "\n")
        nll = [round(sequence["nll_mean"], 3) for sequence in golden["sequences"]]
        print(f"{name}: {golden['parameters']} parameters, losses {nll}")


def differences(was, now, path=""):
    """(path, size of the difference, size of the value) of every number or list of numbers."""
    if isinstance(was, dict):
        for key in was:
            if key not in now:
                print(f"  {path}.{key} is not measured")
            else:
                yield from differences(was[key], now[key], f"{path}.{key}")
    elif isinstance(was, list) and was and isinstance(was[0], dict):
        for index, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from differences(one, other, f"{path}.{index}")
    elif isinstance(was, (list, float, int)):
        one, other = (torch.tensor(value, dtype=torch.float64).flatten() for value in (was, now))
        yield path, (one - other).norm().item(), one.norm().item()


def golden_folder(folder):
    return folder.with_name(folder.name.removesuffix(ORIGINAL))


def check(folders):
    wrong = False
    for folder in folders:
        golden = json.loads((golden_folder(folder) / "golden.json").read_text())
        again = measure(folder, [sequence["ids"] for sequence in golden["sequences"]])
        found = [
            (difference / max(size, 1e-12), path)
            for path, difference, size in differences(
                {key: value for key, value in golden.items() if key != "how"}, again
            )
        ]
        worst, path = max(found)
        wrong |= worst > 1e-3
        print(f"{folder.name}: {len(found)} values, largest relative difference {worst:.1e} at {path}")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make")
    maker.add_argument("out", type=pathlib.Path)
    maker.add_argument("names", nargs="*")
    maker.add_argument("--layers", type=int)
    checker = commands.add_parser("check")
    checker.add_argument("folders", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    if options.command == "check":
        return check(options.folders)
    make(options.out, options.names, options.layers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
