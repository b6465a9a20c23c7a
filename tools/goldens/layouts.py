"""InternLM2 and InternLM3 as Llama computes them: their configs, their tensors and their module paths.

transformers has no class for them. Both are Llama's block. InternLM2 joins q, k and v in one layer, in groups of a key head: its
query heads, then the key head, then the value head. InternLM3 has Llama's names, and two flags of biases.
"""

import torch
import transformers

# InternLM2's name -> Llama's, within a block.
INTERNLM2 = {
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w3": "mlp.up_proj",
    "feed_forward.w2": "mlp.down_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
INTERNLM2_OUTER = {
    "model.tok_embeddings.weight": "model.embed_tokens.weight",
    "model.norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
SHARED = (
    "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads hidden_act "
    "max_position_embeddings rms_norm_eps tie_word_embeddings bos_token_id eos_token_id pad_token_id initializer_range use_cache"
).split()


def head_dim(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def fused_rows(config):
    """Rows of wqkv that are q's, k's and v's, each in Llama's order."""
    d = head_dim(config)
    kv_heads = config["num_key_value_heads"]
    queries = config["num_attention_heads"] // kv_heads
    rows = torch.arange(kv_heads * (queries + 2) * d).reshape(kv_heads, queries + 2, d)
    return rows[:, :queries].flatten(), rows[:, queries].flatten(), rows[:, queries + 1].flatten()


def write(layout, model):
    """(config, tensors) of a Llama model in the other layout."""
    llama = model.config.to_dict()
    rope = dict(llama["rope_parameters"])
    config = {key: llama[key] for key in SHARED}
    config.update(
        architectures=[{"internlm2": "InternLM2ForCausalLM", "internlm3": "InternLM3ForCausalLM"}[layout]],
        model_type=layout,
        rope_theta=rope.pop("rope_theta"),
        rope_scaling=None if rope["rope_type"] == "default" else rope,
        torch_dtype="bfloat16",
    )
    tensors = dict(model.state_dict())
    if layout == "internlm3":
        # An o_proj bias beside q, k and v without one in the feed-forward does not exist there.
        config.update(head_dim=llama["head_dim"], qkv_bias=llama["attention_bias"], bias=llama["mlp_bias"])
        if not config["bias"]:
            tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith("o_proj.bias")}
        return config, tensors
    # Dynamic scaling has its old spelling there.
    if config["rope_scaling"] is not None:
        config["rope_scaling"] = {"type": rope["rope_type"], "factor": rope["factor"]}
    config["bias"] = False
    return config, to_internlm2(config, tensors)


def to_internlm2(config, tensors):
    renamed = {name: tensors[other] for name, other in INTERNLM2_OUTER.items()}
    for layer in range(config["num_hidden_layers"]):
        block = f"model.layers.{layer}."
        for name, other in INTERNLM2.items():
            renamed[f"{block}{name}.weight"] = tensors[f"{block}{other}.weight"]
        parts = [tensors[f"{block}self_attn.{part}_proj.weight"] for part in "qkv"]
        fused = torch.empty(sum(len(part) for part in parts), config["hidden_size"], dtype=parts[0].dtype)
        for rows, part in zip(fused_rows(config), parts, strict=True):
            fused[rows] = part
        renamed[f"{block}attention.wqkv.weight"] = fused
    return renamed


def read(config, tensors):
    """The Llama model in float32 that computes what a folder holds."""
    scaling = dict(config["rope_scaling"] or {"rope_type": "default"})
    scaling.setdefault("rope_type", scaling.pop("type", None))
    model = transformers.LlamaForCausalLM._from_config(
        transformers.LlamaConfig(
            **{key: config[key] for key in SHARED},
            head_dim=head_dim(config),
            attention_bias=config.get("qkv_bias", False),
            mlp_bias=config["bias"],
            rope_parameters={"rope_theta": config["rope_theta"], **scaling},
        ),
        dtype=torch.float32,
        attn_implementation="eager",
    )
    values = {name: tensor.float() for name, tensor in to_llama(config, tensors).items()}
    if config.get("qkv_bias") and not config["bias"]:
        for layer in range(config["num_hidden_layers"]):
            values[f"model.layers.{layer}.self_attn.o_proj.bias"] = torch.zeros(config["hidden_size"])
    model.load_state_dict(values)
    return model


def to_llama(config, tensors):
    if config["model_type"] == "internlm3":
        return tensors
    values = {other: tensors[name] for name, other in INTERNLM2_OUTER.items()}
    for layer in range(config["num_hidden_layers"]):
        block = f"model.layers.{layer}."
        for name, other in INTERNLM2.items():
            values[f"{block}{other}.weight"] = tensors[f"{block}{name}.weight"]
        for part, rows in zip("qkv", fused_rows(config), strict=True):
            values[f"{block}self_attn.{part}_proj.weight"] = tensors[f"{block}attention.wqkv.weight"][rows]
    return values


def linears(config, model):
    """Module path of the layout -> [(Llama's module, its rows in the layout's layer)]."""
    whole = lambda module: [(module, torch.arange(module.out_features))]
    if config["model_type"] == "internlm3":
        return {
            path: whole(module)
            for path, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and ".layers." in path
        }
    found = {}
    for layer in range(config["num_hidden_layers"]):
        block = f"model.layers.{layer}."
        found[f"{block}attention.wqkv"] = [
            (model.get_submodule(f"{block}self_attn.{part}_proj"), rows)
            for part, rows in zip("qkv", fused_rows(config), strict=True)
        ]
        for name, other in INTERNLM2.items():
            if "norm" not in name:
                found[block + name] = whole(model.get_submodule(block + other))
    return found
