"""InternVL as its original repositories have it, from the tensors and the config that transformers writes.

The tower's q, k and v are one layer, in thirds. A Llama becomes the InternLM2 that it was converted from, a Qwen2 keeps its names.
"""

import torch

import layouts

TOWER = {
    "embeddings.cls_token": "embeddings.class_embedding",
    "embeddings.patch_embeddings.projection.": "embeddings.patch_embedding.",
    "embeddings.position_embeddings": "embeddings.position_embedding",
    "encoder.layer.": "encoder.layers.",
    ".layernorm_before.": ".norm1.",
    ".layernorm_after.": ".norm2.",
    ".lambda_": ".ls",
    ".attention.projection_layer.": ".attn.proj.",
    ".attention.": ".attn.",
}
PROJECTOR = {"layer_norm": "0", "linear_1": "1", "linear_2": "3"}
FORMER = {
    "model.language_model.": "language_model.model.",
    "lm_head.": "language_model.lm_head.",
    "model.vision_tower.": "vision_tower.",
    "model.multi_modal_projector.": "multi_modal_projector.",
}


def set_random_weights(model, seed):
    """As make.py's, with factors of a layer scale that let a block be seen."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name and name.endswith("weight"):
            values = 1 + 0.2 * noise
        elif "lambda" in name:
            values = 0.6 + 0.2 * noise
        elif parameter.dim() == 1:
            values = 0.1 * noise
        elif "embed" in name and parameter.dim() < 4:
            values = 0.5 * noise
        else:
            values = 1.2 / parameter[0].numel() ** 0.5 * noise
        parameter.data.copy_(values.to(torch.bfloat16).to(parameter.dtype))


def with_prefixes(name, prefixes):
    for prefix, other in prefixes.items():
        if name.startswith(prefix):
            return other + name[len(prefix) :]
    return name


def to_original(config, tensors):
    """(config, tensors) of the original layout."""
    former = {with_prefixes(name, FORMER): tensor for name, tensor in tensors.items()}
    text, vision = config["text_config"], config["vision_config"]
    language = {
        name.removeprefix("language_model."): tensor
        for name, tensor in former.items()
        if name.startswith("language_model.")
    }
    renamed = {}
    for name, tensor in former.items():
        if name.startswith("vision_tower."):
            add_tower(renamed, name.removeprefix("vision_tower."), former)
        elif name.startswith("multi_modal_projector."):
            _, part, kind = name.split(".")
            renamed[f"mlp1.{PROJECTOR[part]}.{kind}"] = tensor
    llm_config, language = to_llm(text, language)
    renamed.update({f"language_model.{name}": tensor for name, tensor in language.items()})
    side = vision["image_size"][0]
    return {
        "architectures": ["InternVLChatModel"],
        "model_type": "internvl_chat",
        "downsample_ratio": config["downsample_ratio"],
        "dynamic_image_size": True,
        "force_image_size": side,
        "llm_config": llm_config,
        "max_dynamic_patch": 12,
        "min_dynamic_patch": 1,
        "ps_version": "v2",
        "select_layer": config["vision_feature_layer"],
        "template": "internvl2_5",
        "torch_dtype": "bfloat16",
        "use_thumbnail": True,
        "vision_config": {
            "model_type": "intern_vit_6b",
            "image_size": side,
            "patch_size": vision["patch_size"][0],
            "qkv_bias": vision["attention_bias"],
            "qk_normalization": vision["use_qk_norm"],
            **{
                key: vision[key]
                for key in "hidden_act hidden_size intermediate_size layer_norm_eps norm_type num_attention_heads "
                "num_channels num_hidden_layers".split()
            },
        },
    }, renamed


def add_tower(renamed, name, former):
    for part in ("k_proj", "v_proj"):
        if f".attention.{part}." in name:
            return
    whole = name
    parts = [name.replace("q_proj", part) for part in ("q_proj", "k_proj", "v_proj")]
    if ".attention.q_proj." in name:
        whole = name.replace("q_proj", "qkv")
    else:
        parts = [name]
    for one, other in TOWER.items():
        whole = whole.replace(one, other)
    tensors = [former[f"vision_tower.{part}"] for part in parts]
    renamed[f"vision_model.{whole}"] = torch.cat(tensors) if len(tensors) > 1 else tensors[0]


def to_llm(text, tensors):
    rope = dict(text["rope_parameters"])
    config = {key: text[key] for key in layouts.SHARED if key in text}
    config["rope_theta"] = rope["rope_theta"]
    if text["model_type"] != "llama":
        config.update(architectures=["Qwen2ForCausalLM"], model_type="qwen2", use_sliding_window=False)
        return config, tensors
    config.update(architectures=["InternLM2ForCausalLM"], model_type="internlm2", bias=False)
    return config, layouts.to_internlm2(config, tensors)
