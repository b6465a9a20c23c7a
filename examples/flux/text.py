"""
The two text encoders: CLIP's pooled vector and T5's rows.

Names of parameters are those of the published checkpoints, so that a state dict is a file.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ClipLayer(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        width, inner = config['hidden_size'], config['intermediate_size']
        self.heads = config['num_attention_heads']
        self.layer_norm1 = nn.LayerNorm(width, eps=config['layer_norm_eps'])
        self.layer_norm2 = nn.LayerNorm(width, eps=config['layer_norm_eps'])
        parts = ('q_proj', 'k_proj', 'v_proj', 'out_proj')
        self.self_attn = nn.ModuleDict({part: nn.Linear(width, width) for part in parts})
        self.mlp = nn.ModuleDict({'fc1': nn.Linear(width, inner), 'fc2': nn.Linear(inner, width)})

    def forward(self, x: Tensor) -> Tensor:
        u = self.layer_norm1(x)
        q, k, v = (
            self.self_attn[part](u).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in ('q_proj', 'k_proj', 'v_proj')
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.self_attn['out_proj'](mixed.transpose(1, 2).flatten(2))
        hidden = self.mlp['fc1'](self.layer_norm2(x))
        return x + self.mlp['fc2'](hidden * torch.sigmoid(1.702 * hidden))


class ClipText(nn.Module):
    """CLIPTextModel: ids (rows, positions) -> pooled (rows, width)."""

    def __init__(self, config: dict):
        super().__init__()
        width = config['hidden_size']
        self.end = config['eos_token_id']
        embeddings = {
            'token_embedding': nn.Embedding(config['vocab_size'], width),
            'position_embedding': nn.Embedding(config['max_position_embeddings'], width),
        }
        layers = nn.ModuleList(ClipLayer(config) for _ in range(config['num_hidden_layers']))
        parts = {
            'embeddings': nn.ModuleDict(embeddings),
            'encoder': nn.ModuleDict({'layers': layers}),
            'final_layer_norm': nn.LayerNorm(width, eps=config['layer_norm_eps']),
        }
        self.text_model = nn.ModuleDict(parts)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.hidden(ids)
        # An end token of 2 in a config is a historical mistake: the largest id is meant.
        marks = ids if self.end == 2 else (ids == self.end).int()
        return hidden[torch.arange(len(ids), device=ids.device), marks.argmax(-1)]

    def hidden(self, ids: Tensor) -> Tensor:
        embeddings = self.text_model['embeddings']
        places = torch.arange(ids.shape[1], device=ids.device)
        x = embeddings['token_embedding'](ids) + embeddings['position_embedding'](places)
        for layer in self.text_model['encoder']['layers']:
            x = layer(x)
        return self.text_model['final_layer_norm'](x)


class T5Norm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def relative_buckets(length: int, buckets: int, furthest: int) -> Tensor:
    """(length, length) bucket of key - query: exact near by, logarithmic further away."""
    places = torch.arange(length)
    offset = places[None, :] - places[:, None]
    half = buckets // 2
    exact, distance = half // 2, offset.abs()
    far = torch.log(distance.clamp(min=1) / exact) / math.log(furthest / exact) * (half - exact)
    far = (exact + far.long()).clamp(max=half - 1)
    return torch.where(distance < exact, distance, far) + half * (offset > 0)


class T5Block(nn.Module):
    def __init__(self, config: dict, has_bias: bool):
        super().__init__()
        width, inner = config['d_model'], config['num_heads'] * config['d_kv']
        eps = config['layer_norm_epsilon']
        self.heads = config['num_heads']
        attention = {part: nn.Linear(width, inner, bias=False) for part in 'qkv'}
        attention['o'] = nn.Linear(inner, width, bias=False)
        if has_bias:
            table = nn.Embedding(config['relative_attention_num_buckets'], self.heads)
            attention['relative_attention_bias'] = table
        gated = {part: nn.Linear(width, config['d_ff'], bias=False) for part in ('wi_0', 'wi_1')}
        gated['wo'] = nn.Linear(config['d_ff'], width, bias=False)
        first = {'SelfAttention': nn.ModuleDict(attention), 'layer_norm': T5Norm(width, eps)}
        second = {'DenseReluDense': nn.ModuleDict(gated), 'layer_norm': T5Norm(width, eps)}
        self.layer = nn.ModuleList([nn.ModuleDict(first), nn.ModuleDict(second)])

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        attention, u = self.layer[0]['SelfAttention'], self.layer[0]['layer_norm'](x)
        q, k, v = (
            attention[part](u).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in 'qkv'
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype), scale=1.0)
        x = x + attention['o'](mixed.transpose(1, 2).flatten(2))
        gated, u = self.layer[1]['DenseReluDense'], self.layer[1]['layer_norm'](x)
        return x + gated['wo'](F.gelu(gated['wi_0'](u), approximate='tanh') * gated['wi_1'](u))


class T5Text(nn.Module):
    """T5EncoderModel: ids (rows, tokens) -> (rows, tokens, d_model); padding is not masked."""

    def __init__(self, config: dict):
        super().__init__()
        self.shared = nn.Embedding(config['vocab_size'], config['d_model'])
        blocks = nn.ModuleList(T5Block(config, n == 0) for n in range(config['num_layers']))
        norm = T5Norm(config['d_model'], config['layer_norm_epsilon'])
        self.encoder = nn.ModuleDict({'block': blocks, 'final_layer_norm': norm})
        self.buckets = config['relative_attention_num_buckets']
        self.furthest = config['relative_attention_max_distance']

    def forward(self, ids: Tensor) -> Tensor:
        table = self.encoder['block'][0].layer[0]['SelfAttention']['relative_attention_bias']
        buckets = relative_buckets(ids.shape[1], self.buckets, self.furthest).to(ids.device)
        bias, x = table(buckets).permute(2, 0, 1)[None], self.shared(ids)
        for block in self.encoder['block']:
            x = block(x, bias)
        return self.encoder['final_layer_norm'](x)
