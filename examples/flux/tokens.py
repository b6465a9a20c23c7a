"""
The tokenizers of the two text encoders.

    python3 examples/flux/tokens.py [FOLDER]

writes tokenizer/ (CLIP: vocab.json, merges.txt and their settings) and tokenizer_2/ (T5: Unigram
with the nmt_nfkc rules of SentencePiece) into FOLDER, `model` beside this file when none is given.
Needs the packages tokenizers and, for writing alone, sentencepiece.
"""

import base64
import io
import json
import sys
from pathlib import Path
from random import Random

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from world import scene

START, END = '<|startoftext|>', '<|endoftext|>'
CLIP_LENGTH, T5_LENGTH = 77, 32
MERGES, PIECES = 220, 260
CLIP_SPLIT = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+")


def corpus() -> list[str]:
    return [scene(Random(f'corpus {n}')).caption for n in range(6000)]


def clip_steps(tokenizer: Tokenizer) -> Tokenizer:
    """CLIP's normalisation and split into words, byte-level."""
    spaces = normalizers.Replace(Regex(r'\s+'), ' ')
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), spaces, normalizers.Lowercase()]
    )
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = pre_tokenizers.Split(CLIP_SPLIT, 'removed', invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_of])
    return tokenizer


def clip_files() -> dict[str, str]:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = clip_steps(Tokenizer(models.BPE(end_of_word_suffix='</w>')))
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + MERGES,
        initial_alphabet=alphabet,
        end_of_word_suffix='</w>',
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    merges = [tuple(pair) for pair in json.loads(tokenizer.to_str())['model']['merges']][:MERGES]
    tokens = [*alphabet, *(letter + '</w>' for letter in alphabet)]
    tokens += [*(a + b for a, b in merges), START, END]
    special = {'bos_token': START, 'eos_token': END, 'unk_token': END, 'pad_token': END}
    settings = special | {
        'tokenizer_class': 'CLIPTokenizer',
        'model_max_length': CLIP_LENGTH,
        'do_lower_case': True,
        'add_prefix_space': False,
        'errors': 'replace',
        'clean_up_tokenization_spaces': True,
    }
    vocabulary = {token: place for place, token in enumerate(dict.fromkeys(tokens))}
    return {
        'vocab.json': json.dumps(vocabulary, ensure_ascii=False, separators=(',', ':')),
        'merges.txt': '\n'.join(['#version: 0.2', *(f'{a} {b}' for a, b in merges), '']),
        'tokenizer_config.json': json.dumps(settings, indent=2) + '\n',
        'special_tokens_map.json': json.dumps(special, indent=2) + '\n',
    }


def t5_files() -> dict[str, str]:
    processor = trained_pieces()
    pieces = [
        [processor.id_to_piece(n), round(processor.get_score(n), 6)]
        for n in range(processor.get_piece_size())
    ]
    special = {'pad_token': '<pad>', 'eos_token': '</s>', 'unk_token': '<unk>'}
    settings = special | {
        'tokenizer_class': 'T5Tokenizer',
        'model_max_length': T5_LENGTH,
        'extra_ids': 0,
        'clean_up_tokenization_spaces': True,
    }
    content = t5_tokenizer(pieces, character_rules(processor.serialized_model_proto()))
    return {
        'tokenizer.json': json.dumps(content, ensure_ascii=False, indent=1) + '\n',
        'tokenizer_config.json': json.dumps(settings, indent=2) + '\n',
        'special_tokens_map.json': json.dumps(special, indent=2) + '\n',
    }


def trained_pieces():
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()),
        model_writer=model,
        model_type='unigram',
        normalization_rule_name='nmt_nfkc',
        vocab_size=PIECES,
        required_chars=''.join(chr(code) for code in range(33, 127)),
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return SentencePieceProcessor(model_proto=model.getvalue())


def t5_tokenizer(pieces: list, rules: bytes) -> dict:
    added = [
        {'id': n, 'content': pieces[n][0], 'special': True, 'normalized': False}
        | {'single_word': False, 'lstrip': False, 'rstrip': False}
        for n in range(3)
    ]
    spaces = {'type': 'Metaspace', 'replacement': '▁', 'prepend_scheme': 'always', 'split': True}
    end = {'id': '</s>', 'ids': [1], 'tokens': ['</s>']}
    text, close = (
        {'Sequence': {'id': 'A', 'type_id': 0}},
        {'SpecialToken': {'id': '</s>', 'type_id': 0}},
    )
    second = {'Sequence': {'id': 'B', 'type_id': 0}}
    normalizer = [
        {'type': 'Precompiled', 'precompiled_charsmap': base64.b64encode(rules).decode()},
        {'type': 'Strip', 'strip_left': False, 'strip_right': True},
        {'type': 'Replace', 'pattern': {'Regex': ' {2,}'}, 'content': '▁'},
    ]
    return {
        'version': '1.0',
        'truncation': None,
        'padding': None,
        'added_tokens': added,
        'normalizer': {'type': 'Sequence', 'normalizers': normalizer},
        'pre_tokenizer': spaces,
        'post_processor': {
            'type': 'TemplateProcessing',
            'single': [text, close],
            'pair': [text, close, second, close],
            'special_tokens': {'</s>': end},
        },
        'decoder': spaces,
        'model': {'type': 'Unigram', 'unk_id': 2, 'vocab': pieces, 'byte_fallback': False},
    }


def character_rules(model: bytes) -> bytes:
    """precompiled_charsmap of a SentencePiece model: field 2 of the message in field 3."""
    return dict(fields(dict(fields(model))[3]))[2]


def fields(message: bytes):
    """(number, content) of a protobuf message's fields that have a length; others are skipped."""
    place = 0
    while place < len(message):
        key, place = number(message, place)
        if key & 7 == 2:
            length, place = number(message, place)
            yield key >> 3, message[place : place + length]
            place += length
        elif key & 7 == 0:
            _, place = number(message, place)
        else:
            place += 4 if key & 7 == 5 else 8


def number(message: bytes, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


class PromptTokens:
    """Captions -> CLIP's (rows, 77) and T5's (rows, 32) ids."""

    def __init__(self, folder: Path):
        files = [str(folder / 'tokenizer' / name) for name in ('vocab.json', 'merges.txt')]
        self.clip = clip_steps(Tokenizer(models.BPE.from_file(*files, end_of_word_suffix='</w>')))
        vocabulary = json.loads(Path(files[0]).read_text())
        self.start, self.end = vocabulary[START], vocabulary[END]
        self.t5 = Tokenizer.from_file(str(folder / 'tokenizer_2' / 'tokenizer.json'))

    def __call__(self, captions: list[str]) -> tuple[np.ndarray, np.ndarray]:
        clip = np.full((len(captions), CLIP_LENGTH), self.end, np.int64)
        t5 = np.zeros((len(captions), T5_LENGTH), np.int64)
        for row, encoding in enumerate(self.clip.encode_batch(captions)):
            ids = [self.start, *encoding.ids[: CLIP_LENGTH - 2]]
            clip[row, : len(ids)] = ids
        for row, encoding in enumerate(self.t5.encode_batch(captions)):
            ids = [*encoding.ids[:-1][: T5_LENGTH - 1], encoding.ids[-1]]
            t5[row, : len(ids)] = ids
        return clip, t5


def write_files(folder: Path) -> None:
    for name, files in (('tokenizer', clip_files()), ('tokenizer_2', t5_files())):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (folder / name / file).write_text(content)


if __name__ == '__main__':
    write_files(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / 'model')
