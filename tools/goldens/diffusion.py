"""Makes small random FLUX folders and what diffusers and transformers compute with them.

    python tools/goldens/diffusion.py OUT [NAME...]    folders OUT/NAME from recipes/diffusion/NAME.json (all without NAME)

Needs torch, transformers and diffusers. A folder has the components of diffusers' layout (bf16), golden.json and
tensors.safetensors (float32), README.md tells what is in them. Everything is computed in float32 from bf16 values.

A recipe: `seed`, the config of each component, `clip_ids` and `t5_ids` (before padding), `t5_tokens`, `image` and `sample` sizes,
`sigma`, `guidance`, `steps`.
"""

import argparse
import json
import math
import pathlib

import diffusers
import torch
import transformers
from safetensors.torch import save_file

RANK, ALPHA = 4, 8
RECIPES = pathlib.Path(__file__).parent / "recipes" / "diffusion"
TARGETS = (
    "attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0", "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj",
    "attn.to_add_out", "ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2", "proj_mlp", "proj_out",
)


def set_random_weights(model, generator, gain=1.0):
    """Values that show mistakes: norms around 1, biases that are not 0, activations of about one unit."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() == 1 and "norm" in name and name.endswith("weight"):
            values = 1 + 0.2 * noise
        elif parameter.dim() == 1:
            values = 0.1 * noise
        elif "embed" in name or "shared" in name or "relative_attention_bias" in name:
            values = 0.5 * noise
        else:
            values = gain / math.sqrt(parameter[0].numel()) * noise
        parameter.data.copy_(values.to(torch.bfloat16).to(parameter.dtype))


def create(recipe, generator):
    clip_config = transformers.CLIPTextConfig(**recipe["clip"])
    t5_config = transformers.T5Config(**recipe["t5"])
    parts = {
        "transformer": diffusers.FluxTransformer2DModel(**recipe["transformer"]),
        "text_encoder": transformers.CLIPTextModel._from_config(clip_config, attn_implementation="eager"),
        "text_encoder_2": transformers.T5EncoderModel._from_config(t5_config),
        "vae": diffusers.AutoencoderKL(**recipe["vae"]),
    }
    for part in parts.values():
        set_random_weights(part, generator)
        part.eval().requires_grad_(False)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(**recipe["scheduler"])
    return parts, scheduler


def write(parts, scheduler, folder):
    for name, part in parts.items():
        part.to(torch.bfloat16).save_pretrained(folder / name)
        part.to(torch.float32)
    scheduler.save_pretrained(folder / "scheduler")
    classes = {name: ["diffusers" if name in ("transformer", "vae") else "transformers", type(part).__name__] for name, part in parts.items()}
    index = {"_class_name": "FluxPipeline", **classes, "scheduler": ["diffusers", type(scheduler).__name__]}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


def pack(latents):
    """(1, c, h, w) to rows of 2 x 2 squares, channels first."""
    _, c, h, w = latents.shape
    return latents.view(1, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, (h // 2) * (w // 2), 4 * c)


def unpack(rows, h, w):
    c = rows.shape[-1] // 4
    return rows.view(1, h // 2, w // 2, c, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(1, c, h, w)


def image_ids(h, w):
    ids = torch.zeros(h // 2, w // 2, 3)
    ids[..., 1] += torch.arange(h // 2)[:, None]
    ids[..., 2] += torch.arange(w // 2)[None, :]
    return ids.reshape(-1, 3)


def velocity(transformer, rows, ids, prompt, pooled, sigma, guidance):
    return transformer(
        hidden_states=rows,
        encoder_hidden_states=prompt,
        pooled_projections=pooled,
        timestep=torch.tensor([sigma], dtype=torch.float32),
        img_ids=ids,
        txt_ids=torch.zeros(prompt.shape[1], 3),
        guidance=torch.tensor([guidance]) if transformer.config.guidance_embeds else None,
        return_dict=False,
    )[0]


def attach_lora(transformer):
    adapters = {}
    for path, module in transformer.named_modules():
        if not path.endswith(TARGETS) or "transformer_blocks." not in path:
            continue
        inner, outer = module.in_features, module.out_features
        a = (torch.sin(0.37 * arange(RANK * inner)).reshape(RANK, inner) / math.sqrt(inner)).float().requires_grad_()
        b = (0.02 * torch.cos(0.73 * arange(outer * RANK)).reshape(outer, RANK)).float().requires_grad_()
        adapters[path] = (a, b)
        module.register_forward_hook(lambda _, inputs, output, a=a, b=b: output + ALPHA / RANK * (inputs[0] @ a.T) @ b.T)
    return adapters


def arange(count):
    return torch.arange(count, dtype=torch.float64)


def gradients(adapters):
    return {
        path: {
            "A_norm": a.grad.norm().item(),
            "B_norm": b.grad.norm().item(),
            "A_first": a.grad.flatten()[:4].tolist(),
            "B_first": b.grad.flatten()[:4].tolist(),
        }
        for path, (a, b) in adapters.items()
        if a.grad is not None
    }


def sampled(parts, scheduler, prompt, pooled, recipe, noise):
    """Euler's method, and what the decoder makes of it."""
    vae, transformer = parts["vae"], parts["transformer"]
    height, width = recipe["sample"]
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    h, w = height // factor, width // factor
    steps = recipe["steps"]
    settings = scheduler.config
    slope = (settings.max_shift - settings.base_shift) / (settings.max_image_seq_len - settings.base_image_seq_len)
    mu = settings.base_shift + slope * (noise.shape[1] - settings.base_image_seq_len)
    sigmas = [1 - step / steps for step in range(steps)]
    scheduler.set_timesteps(sigmas=sigmas, mu=mu if settings.use_dynamic_shifting else None)
    rows = noise
    for timestep in scheduler.timesteps:
        predicted = velocity(transformer, rows, image_ids(h, w), prompt, pooled, float(timestep) / 1000, recipe["guidance"])
        rows = scheduler.step(predicted, timestep, rows, return_dict=False)[0]
    latents = unpack(rows, h, w) / vae.config.scaling_factor + vae.config.shift_factor
    return (vae.decode(latents, return_dict=False)[0] / 2 + 0.5).clamp(0, 1), scheduler.sigmas.tolist()


def measure(parts, scheduler, recipe, generator):
    def normal(*shape):
        return torch.randn(shape, generator=generator)

    vae, transformer = parts["vae"], parts["transformer"]
    positions = recipe["clip"]["max_position_embeddings"]
    clip_ids = torch.tensor([padded(recipe["clip_ids"], positions, recipe["clip"]["pad_token_id"])])
    t5_ids = torch.tensor([padded(recipe["t5_ids"], recipe["t5_tokens"], 0)])
    with torch.no_grad():
        pooled = parts["text_encoder"](clip_ids).pooler_output
        prompt = parts["text_encoder_2"](t5_ids)[0]
        height, width = recipe["image"]
        image = torch.rand(1, 3, height, width, generator=generator) * 2 - 1
        posterior = vae.encode(image).latent_dist
        decoded = vae.decode(posterior.mean).sample
        factor = 2 ** (len(vae.config.block_out_channels) - 1)
        rows = (recipe["sample"][0] // factor // 2) * (recipe["sample"][1] // factor // 2)
        initial = normal(1, rows, transformer.config.in_channels)
        picture, sigmas = sampled(parts, scheduler, prompt, pooled, recipe, initial)
    latents = (posterior.mean - vae.config.shift_factor) * vae.config.scaling_factor
    noise = normal(*latents.shape)
    sigma = recipe["sigma"]
    noisy = pack((1 - sigma) * latents + sigma * noise)
    ids = image_ids(*latents.shape[2:])
    arguments = (transformer, noisy, ids, prompt, pooled, sigma, recipe["train_guidance"])
    with torch.no_grad():
        prediction = velocity(*arguments)
    adapters = attach_lora(transformer)
    loss = ((velocity(*arguments) - pack(noise - latents)) ** 2).mean()
    loss.backward()
    tensors = {
        "clip.pooled": pooled,
        "t5.last_hidden": prompt,
        "vae.image": image,
        "vae.mean": posterior.mean,
        "vae.logvar": posterior.logvar,
        "vae.decoded_of_mean": decoded,
        "train.noise": noise,
        "train.packed_noisy": noisy,
        "train.prediction": prediction,
        "sample.initial_packed_latents": initial,
        "sample.image": picture,
    }
    golden = {
        "how": f"transformers {transformers.__version__}, diffusers {diffusers.__version__}, torch {torch.__version__}, "
        "float32 on CPU; weights are bf16 values",
        "clip_ids": clip_ids.tolist(),
        "t5_ids": t5_ids.tolist(),
        "train": {
            "sigma": sigma,
            "guidance": recipe["train_guidance"],
            "lora": {"value": loss.item(), "grads": gradients(adapters)},
        },
        "sample": {
            "steps": recipe["steps"],
            "guidance": recipe["guidance"],
            "height": recipe["sample"][0],
            "width": recipe["sample"][1],
            "sigmas": sigmas,
        },
    }
    return golden, {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def padded(ids, count, pad):
    return ids + [pad] * (count - len(ids))


def make(recipe, folder):
    generator = torch.Generator().manual_seed(recipe["seed"])
    parts, scheduler = create(recipe, generator)
    folder.mkdir(parents=True)
    write(parts, scheduler, folder)
    golden, tensors = measure(parts, scheduler, recipe, generator)
    (folder / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    save_file(tensors, folder / "tensors.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = options.names or sorted(path.stem for path in RECIPES.glob("*.json"))
    for name in names:
        recipe = json.loads((RECIPES / f"{name}.json").read_text())
        make(recipe, options.out / name)
        print(name)


if __name__ == "__main__":
    main()
