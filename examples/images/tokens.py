"""
The tokenizer of the example's model and the files that go with it.

    python3 examples/images/tokens.py [FOLDER]

writes tokenizer.json, tokenizer_config.json, chat_template.jinja, preprocessor_config.json and
processor_config.json (default: model beside this file). Needs the package tokenizers.
"""

import json
import sys
from pathlib import Path
from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.trainers import BpeTrainer

from draw import draw
from questions import ask

VOCABULARY = 600
TILE, PATCH, TOKENS_PER_TILE, MOST_TILES = 112, 14, 16, 4
END_OF_TEXT, TURN, END_OF_TURN, IMAGE, END_OF_IMAGE, CONTEXT, VIDEO = SPECIALS = [
    '<|endoftext|>',
    '<|im_start|>',
    '<|im_end|>',
    '<img>',
    '</img>',
    '<IMG_CONTEXT>',
    '<video>',
]
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}
{{- '<IMG_CONTEXT>\\n' -}}
{%- elif part['type'] == 'text' -%}
{{- part['text'] -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""
# Words with the blank before them, single digits, runs of other characters.
SPLIT = Regex(r' ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+')


def train_tokenizer() -> Tokenizer:
    """A byte-level BPE of at most VOCABULARY tokens that can encode every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(SPLIT, 'isolated'),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True) for token in SPECIALS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def corpus() -> list[str]:
    """Questions and answers of 6,000 pictures without their written words, and the roles' names."""
    random, texts = Random(1), ['user\n', 'assistant\n', 'system\n'] * 500
    for place in range(6000):
        kind = ['shapes', 'chart', 'number'][place % 3]
        for question, answer in ask(random, draw(random, (TILE, TILE), kind), 4):
            texts += [question, answer]
    return texts


def side_files() -> dict[str, dict]:
    config = {
        'tokenizer_class': 'PreTrainedTokenizerFast',
        'eos_token': END_OF_TURN,
        'pad_token': END_OF_TEXT,
        'model_max_length': 2048,
        'processor_class': 'InternVLProcessor',
        'extra_special_tokens': {
            'start_image_token': IMAGE,
            'end_image_token': END_OF_IMAGE,
            'context_image_token': CONTEXT,
            'video_token': VIDEO,
        },
    }
    images = {
        'image_processor_type': 'GotOcr2ImageProcessor',
        'processor_class': 'InternVLProcessor',
        'crop_to_patches': True,
        'min_patches': 1,
        'max_patches': MOST_TILES,
        'size': {'height': TILE, 'width': TILE},
        'do_resize': True,
        'resample': 3,
        'do_rescale': True,
        'rescale_factor': 1 / 255,
        'do_normalize': True,
        'do_convert_rgb': True,
        'image_mean': MEAN,
        'image_std': DEVIATION,
    }
    processor = {'processor_class': 'InternVLProcessor', 'image_seq_length': TOKENS_PER_TILE}
    return {
        'tokenizer_config.json': config,
        'preprocessor_config.json': images,
        'processor_config.json': processor,
    }


def write_files(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    train_tokenizer().save(str(folder / 'tokenizer.json'))
    (folder / 'chat_template.jinja').write_text(TEMPLATE)
    for name, content in side_files().items():
        (folder / name).write_text(json.dumps(content, indent=2) + '\n')


if __name__ == '__main__':
    write_files(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / 'model')
