"""What diffusers makes of an adapter and of a merged folder of a FLUX model.

python3 flux_diffusers.py --model DIR --adapter DIR --merged DIR [--diffusers SRC] [--size 512] [--dtype float32|bfloat16] [--json FILE]
SRC is the folder `src` of diffusers' own source, where it is not installed. One prediction of the transformer on random latents and texts: of the original, of the original
with the adapter as diffusers loads it, of the merged transformer. In bfloat16 each is compared with the adapter in float32, beside what that dtype changes in PyTorch itself.
Prints a JSON line, appends it to FILE.
"""
import argparse
import importlib.util
import json
import sys
import types
from pathlib import Path

import torch
from safetensors import safe_open

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TEXT_ROWS = 512


def inputs(config, size):
    """One picture's rows, packed two by two latents, and rows of text; the pipeline's places. The same at every call; level and guidance are exact in bfloat16."""
    torch.manual_seed(0)
    side = size // 16
    places = torch.zeros(side, side, 3)
    places[..., 1] += torch.arange(side)[:, None]
    places[..., 2] += torch.arange(side)[None]
    return {
        "hidden_states": torch.randn(1, side * side, config.in_channels),
        "encoder_hidden_states": torch.randn(1, TEXT_ROWS, config.joint_attention_dim),
        "pooled_projections": torch.randn(1, config.pooled_projection_dim),
        "timestep": torch.tensor([0.5]),
        "img_ids": places.reshape(-1, 3),
        "txt_ids": torch.zeros(TEXT_ROWS, 3),
        "guidance": torch.tensor([4.0]) if config.guidance_embeds else None,
    }


def stored_dtype(folder):
    file = sorted((Path(folder) / "transformer").glob("*.safetensors"))[0]
    with safe_open(file, "pt") as tensors:
        return tensors.get_tensor(next(iter(tensors.keys()))).dtype


def predict(model_class, folder, args, dtype, adapter=None):
    """In float32 on the host, of a model that is loaded for this alone: as it is stored, and changed on the device, where there is room."""
    model = model_class.from_pretrained(folder, subfolder="transformer", torch_dtype=stored_dtype(folder)).to(DEVICE).to(dtype).eval()
    if adapter:
        model.load_lora_adapter(adapter, weight_name="pytorch_lora_weights.safetensors", prefix="transformer")
    row = inputs(model.config, args.size)
    kinds = {"img_ids": torch.float32, "txt_ids": torch.float32}
    row = {name: value if value is None else value.to(DEVICE, kinds.get(name, dtype)) for name, value in row.items()}
    with torch.no_grad():
        return model(**row, return_dict=False)[0].float().cpu()


def leave_out_what_pipelines_need():
    """Packages that diffusers imports at once and a transformer never uses."""
    unchecked = types.ModuleType("diffusers.dependency_versions_check")
    unchecked.dep_version_check = lambda *_: None
    sys.modules[unchecked.__name__] = unchecked
    if importlib.util.find_spec("requests") is None:
        sys.modules["requests"] = types.ModuleType("requests")


def main():
    parser = argparse.ArgumentParser()
    for name in ("model", "adapter", "merged"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--diffusers")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--json")
    args = parser.parse_args()
    if args.diffusers:
        sys.path.insert(0, str(Path(args.diffusers).resolve()))
        leave_out_what_pipelines_need()
    from diffusers import FluxTransformer2DModel

    def of(folder, dtype=torch.float32, adapter=None):
        return predict(FluxTransformer2DModel, folder, args, dtype, adapter)

    adapted = of(args.model, adapter=args.adapter)
    # Relative to the norm of all outputs, since the largest difference of many is noise.
    relative = lambda found: ((found - adapted).norm() / adapted.norm()).item()
    result = {"name": "diffusers", "dtype": args.dtype, "size": args.size, "effectOfAdapter": relative(of(args.model)), "mergedInFloat32": relative(of(args.merged))}
    if args.dtype == "bfloat16":
        result["own"] = relative(of(args.model, torch.bfloat16, args.adapter))
        result["merged"] = relative(of(args.merged, torch.bfloat16))
    line = json.dumps(result)
    print(line, flush=True)
    if args.json:
        with open(args.json, "a") as out:
            out.write(line + "\n")
    assert result["effectOfAdapter"] > 10 * result["mergedInFloat32"], "the adapter changes less than rounding the merged weights"
    if args.dtype == "float32":
        assert result["mergedInFloat32"] < 1e-3, "the merged folder differs from the adapter"
    else:
        assert result["merged"] < 1.25 * result["own"], "the merged folder differs by more than bfloat16 does"


if __name__ == "__main__":
    main()
