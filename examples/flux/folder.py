"""
The model's folder in the published layout: sizes, settings, reading and writing.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from text import ClipText, T5Text
from tokens import CLIP_LENGTH
from transformer import FluxTransformer
from vae import Autoencoder
from world import SIDE

WEIGHTS = {
    'transformer': 'transformer/diffusion_pytorch_model.safetensors',
    'clip': 'text_encoder/model.safetensors',
    't5': 'text_encoder_2/model.safetensors',
    'vae': 'vae/diffusion_pytorch_model.safetensors',
}
TRANSFORMER = {
    '_class_name': 'FluxTransformer2DModel',
    'patch_size': 1,
    'in_channels': 64,
    'out_channels': None,
    'num_layers': 2,
    'num_single_layers': 4,
    'attention_head_dim': 32,
    'num_attention_heads': 4,
    'joint_attention_dim': 64,
    'pooled_projection_dim': 64,
    'guidance_embeds': True,
    'axes_dims_rope': [8, 12, 12],
}
VAE = {
    '_class_name': 'AutoencoderKL',
    'in_channels': 3,
    'out_channels': 3,
    'down_block_types': ['DownEncoderBlock2D'] * 4,
    'up_block_types': ['UpDecoderBlock2D'] * 4,
    'block_out_channels': [24, 32, 48, 48],
    'layers_per_block': 2,
    'act_fn': 'silu',
    'latent_channels': 16,
    'norm_num_groups': 8,
    'sample_size': SIDE,
    'scaling_factor': 1.0,
    'shift_factor': 0.0,
    'latents_mean': None,
    'latents_std': None,
    'force_upcast': True,
    'use_quant_conv': False,
    'use_post_quant_conv': False,
    'mid_block_add_attention': True,
}
SCHEDULER = {
    '_class_name': 'FlowMatchEulerDiscreteScheduler',
    'base_image_seq_len': 256,
    'base_shift': 0.5,
    'max_image_seq_len': 4096,
    'max_shift': 1.15,
    'num_train_timesteps': 1000,
    'shift': 3.0,
    'use_dynamic_shifting': True,
}
INDEX = {
    '_class_name': 'FluxPipeline',
    'scheduler': ['diffusers', 'FlowMatchEulerDiscreteScheduler'],
    'text_encoder': ['transformers', 'CLIPTextModel'],
    'text_encoder_2': ['transformers', 'T5EncoderModel'],
    'tokenizer': ['transformers', 'CLIPTokenizer'],
    'tokenizer_2': ['transformers', 'T5TokenizerFast'],
    'transformer': ['diffusers', 'FluxTransformer2DModel'],
    'vae': ['diffusers', 'AutoencoderKL'],
}


def clip_config(vocabulary: int) -> dict:
    """The last two tokens are those of the start and the end."""
    return {
        'architectures': ['CLIPTextModel'],
        'model_type': 'clip_text_model',
        'vocab_size': vocabulary,
        'hidden_size': 64,
        'intermediate_size': 256,
        'num_hidden_layers': 2,
        'num_attention_heads': 4,
        'max_position_embeddings': CLIP_LENGTH,
        'hidden_act': 'quick_gelu',
        'layer_norm_eps': 1e-5,
        'projection_dim': 64,
        'bos_token_id': vocabulary - 2,
        'eos_token_id': vocabulary - 1,
        'pad_token_id': vocabulary - 1,
        'attention_dropout': 0.0,
        'dtype': 'bfloat16',
    }


def t5_config(vocabulary: int) -> dict:
    return {
        'architectures': ['T5EncoderModel'],
        'model_type': 't5',
        'vocab_size': vocabulary,
        'd_model': 64,
        'd_kv': 16,
        'd_ff': 160,
        'num_layers': 2,
        'num_heads': 4,
        'relative_attention_num_buckets': 32,
        'relative_attention_max_distance': 128,
        'dropout_rate': 0.1,
        'layer_norm_epsilon': 1e-6,
        'feed_forward_proj': 'gated-gelu',
        'is_gated_act': True,
        'dense_act_fn': 'gelu_new',
        'is_encoder_decoder': False,
        'use_cache': False,
        'tie_word_embeddings': False,
        'pad_token_id': 0,
        'eos_token_id': 1,
        'dtype': 'bfloat16',
    }


@dataclass
class Models:
    configs: dict[str, dict]
    transformer: FluxTransformer
    clip: ClipText
    t5: T5Text
    vae: Autoencoder

    def parts(self) -> dict[str, nn.Module]:
        return {name: getattr(self, name) for name in WEIGHTS}

    def to(self, device: str) -> 'Models':
        for part in self.parts().values():
            part.to(device)
        return self


def created(configs: dict[str, dict]) -> Models:
    classes = {'transformer': FluxTransformer, 'clip': ClipText, 't5': T5Text, 'vae': Autoencoder}
    return Models(configs, **{name: make(configs[name]) for name, make in classes.items()})


def new_models(tokenizers: Path) -> Models:
    """Random weights, sized for the tokenizers of that folder."""
    words = len(json.loads((tokenizers / 'tokenizer/vocab.json').read_text()))
    content = json.loads((tokenizers / 'tokenizer_2/tokenizer.json').read_text())
    pieces = len(content['model']['vocab'])
    models = created(
        {
            'transformer': dict(TRANSFORMER),
            'clip': clip_config(words),
            't5': t5_config(pieces),
            'vae': dict(VAE),
        }
    )
    initialise(models)
    return models


def initialise(models: Models) -> None:
    """Small embeddings, T5 that keeps its scale without 1/sqrt(d), blocks that begin as nothing."""
    for part in (models.clip, models.t5):
        for module in part.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.3)
    for block in models.t5.encoder['block']:
        nn.init.normal_(block.layer[0]['SelfAttention']['q'].weight, std=0.03)
    transformer = models.transformer
    modulations = [transformer.norm_out.linear]
    for block in transformer.transformer_blocks:
        modulations += [block.norm1.linear, block.norm1_context.linear]
    modulations += [block.norm.linear for block in transformer.single_transformer_blocks]
    for linear in (*modulations, transformer.proj_out):
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)


def save(models: Models, folder: Path) -> None:
    """Writes bfloat16 weights and all settings but the tokenizers'."""
    for name, part in models.parts().items():
        path = folder / WEIGHTS[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            key: value.to('cpu', torch.bfloat16).contiguous()
            for key, value in part.state_dict().items()
        }
        save_file(state, path, metadata={'format': 'pt'})
        write_json(path.parent / 'config.json', models.configs[name])
    (folder / 'scheduler').mkdir(exist_ok=True)
    write_json(folder / 'scheduler/scheduler_config.json', SCHEDULER)
    write_json(folder / 'model_index.json', INDEX)


def load(folder: Path) -> Models:
    configs = {
        name: json.loads((folder / path).with_name('config.json').read_text())
        for name, path in WEIGHTS.items()
    }
    models = created(configs)
    for name, part in models.parts().items():
        state = load_file(folder / WEIGHTS[name])
        part.load_state_dict({key: value.float() for key, value in state.items()})
    return models


def round_weights(*parts: nn.Module) -> None:
    """To what a file of bfloat16 keeps."""
    for part in parts:
        for parameter in part.parameters():
            parameter.data = parameter.data.bfloat16().float()


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + '\n')
