"""Small tokenizers of CLIP's and T5's kind, and the ids that transformers' classes give prompts.

    python tools/goldens/prompt_tokenizers.py libs/dataset/test/goldens/prompts

Needs transformers 5, tokenizers, sentencepiece and protobuf. Folders are written as published
checkpoints have them: clip/ without tokenizer.json, t5/ with one that transformers 4 would write.
"""

import base64
import io
import itertools
import json
import sys
from collections import Counter
from pathlib import Path

import sentencepiece
import tokenizers
import transformers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import normalizers, pre_tokenizers

CLIP_PATTERN = tokenizers.Regex(r"\p{L}+|\p{N}|[^\s\p{L}\p{N}]+")
CLIP_LENGTH, T5_LENGTHS = 77, (16, 48)
EXTRA_IDS = 100

SUBJECTS = "dog cat toy backpack teapot robot bird boat clock vase candle house".split()
PLACES = ["on the beach", "in the snow", "in a jungle", "near the Eiffel Tower", "on a red rug"]
STYLES = ["a photo of", "an oil painting of", "a close-up of", "it's a sketch of", "they're with"]
WORDS = "café crème naïve über Ñandú ﬁne fluffy 日本語 漢字 한국 привет Ωmega 2024 3.5 👩 🐕 😀".split()

PROMPTS = [
    "",
    " ",
    "a photo of sks dog",
    "A PHOTO of SKS Dog, wearing a hat!",
    "  a   photo\tof\n\na  dog \r\n on\x0bthe\x0c beach  ",
    "Café crème, Ñandú, naïve über",
    "Cafe\u0301 cre\u0300me, N\u0303andu\u0301, nai\u0308ve u\u0308ber",
    "q\u0301\u0323 \u0301\u0323 \u0301\u0323x \u1ea1\u0301",
    "\u0301\u0323 marks first\t\u0308\u0327",
    "ＦＵＬＬ ｗｉｄｔｈ　ｄｏｇ　１２３",
    "ﬁne ﬂuffy oﬃce ½ x² Ⅷ ㎏ ™ ㍿",
    "👩 🐕 😀 👩‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️",
    "zero\u200bwidth\u200cnon\u200djoiner\ufeffmark\u00adsoft\u2060join\u200e",
    "it's they're we'll I'm you've he'd 'tis 's'S",
    "IT’S they’re “quoted” «text» — … !!!???",
    "日本語の漢字と한국어 привет мир Ωmega ΣΑΣ ς",
    "İstanbul ıi ß ẞ ſ K Å Ǆ",
    "12345 3.14 1,000 ٣ Ⅳ ④",
    "\x00\x01\x1f\x7f\x85\x9fcontrol\u2028line\u2029para\u00a0nbsp\u3000wide",
    "▁meta▁space ▁ ▁▁",
    "<extra_id_0> dog <extra_id_1><extra_id_99> x<extra_id_7>y <extra_id_100>",
    "</s> dog</s> <pad>cat <unk> <s>",
    "<|startoftext|> dog <|endoftext|>cat<|endoftext|>",
    "<|StartOfText|> < |endoftext|>",
    "snake_case #tag @me $5 50% a/b\\c (x) [y] {z} ~`^|",
    "ﷺ ก็ไทย हिन्दी عربي עברית",
    "\U0010fffd \ue000 \U00020000",
    "dog " * 75,
    "dog " * 76,
    "x" * 300,
    ", ".join(f"{style} a {subject}" for style in STYLES for subject in SUBJECTS),
]


def corpus():
    for style in STYLES:
        for subject in SUBJECTS:
            for place in PLACES:
                yield f"{style} a {subject} {place}"
    for word in WORDS * 20:
        yield f"a {word} {word.lower()}"


def special(content):
    flags = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    return {"content": content, **flags, "special": True}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8")


def clip_words():
    """Words of the corpus as CLIP splits them, as characters of bytes, the last one marked."""
    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(CLIP_PATTERN, "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    normal = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    for text in corpus():
        for word, _ in split.pre_tokenize_str(normal.normalize_str(text)):
            yield (*word[:-1], word[-1] + "</w>")


def learn_merges(words, limit):
    """The most frequent pair, of equal ones the first by its letters, until none is there twice."""
    words, merges = Counter(words), []
    while len(merges) < limit:
        pairs = Counter()
        for word, count in words.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < 2:
            break
        merges.append(best)
        merged = Counter()
        for word, count in words.items():
            merged[join(word, best)] += count
        words = merged
    return merges


def join(word, pair):
    parts = []
    for part in word:
        if parts and (parts[-1], part) == pair:
            parts[-1] += part
        else:
            parts.append(part)
    return tuple(parts)


def make_clip(folder):
    """Bytes, bytes that end a word, merges, then the two special tokens: CLIP's order of ids."""
    merges = learn_merges(clip_words(), 200)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet(), key=lambda c: (ord(c) > 255, ord(c)))
    merged = ["".join(pair) for pair in merges]
    names = [*letters, *(c + "</w>" for c in letters), *merged]
    names += ["<|startoftext|>", "<|endoftext|>"]
    ids = {name: i for i, name in enumerate(names)}
    assert len(ids) == len(names)
    write(folder / "vocab.json", ids)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    start, end = len(names) - 2, len(names) - 1
    named = {"bos_token": names[start], "eos_token": names[end], "unk_token": names[end]}
    config = {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(i): special(names[i]) for i in (start, end)},
        **named,
        "pad_token": names[end],
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": CLIP_LENGTH,
        "tokenizer_class": "CLIPTokenizer",
    }
    write(folder / "tokenizer_config.json", config)
    write(folder / "special_tokens_map.json", {**named, "pad_token": names[end]})


def make_t5(folder):
    """pad, end and unknown, pieces, then the sentinels from the last one down: T5's order."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=corpus(),
        model_writer=written,
        model_type="unigram",
        vocab_size=220,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="nmt_nfkc",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(written.getvalue())
    charsmap = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
    sentinels = [f"<extra_id_{i}>" for i in reversed(range(EXTRA_IDS))]
    vocab = [[p.piece, round(p.score, 6)] for p in model.pieces] + [[s, 0.0] for s in sentinels]
    specials = [(0, "<pad>"), (1, "</s>"), (2, "<unk>")]
    specials += [(len(model.pieces) + i, s) for i, s in enumerate(sentinels)]
    spaces = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    sequence = [{"Sequence": {"id": "A", "type_id": 0}}, end]
    write(
        folder / "tokenizer.json",
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": i, **special(s), "normalized": False} for i, s in specials],
            "normalizer": {
                "type": "Sequence",
                "normalizers": [
                    {"type": "Precompiled", "precompiled_charsmap": charsmap},
                    {"type": "Strip", "strip_left": False, "strip_right": True},
                    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
                ],
            },
            "pre_tokenizer": spaces,
            "post_processor": {
                "type": "TemplateProcessing",
                "single": sequence,
                "pair": sequence,
                "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
            },
            "decoder": spaces,
            "model": {"type": "Unigram", "unk_id": 2, "vocab": vocab, "byte_fallback": False},
        },
    )
    write(
        folder / "tokenizer_config.json",
        {
            "additional_special_tokens": sentinels[::-1],
            "eos_token": "</s>",
            "extra_ids": EXTRA_IDS,
            "model_max_length": max(T5_LENGTHS),
            "pad_token": "<pad>",
            "tokenizer_class": "T5Tokenizer",
            "unk_token": "<unk>",
        },
    )


def encode(tokenizer, text, length):
    return tokenizer(text, padding="max_length", max_length=length, truncation=True)["input_ids"]


def main(out):
    make_clip(out / "clip")
    make_t5(out / "t5")
    clip = transformers.CLIPTokenizer.from_pretrained(out / "clip")
    t5 = transformers.T5TokenizerFast.from_pretrained(out / "t5")
    cases = [
        {
            "text": text,
            "clip": encode(clip, text, CLIP_LENGTH),
            "t5": {str(length): encode(t5, text, length) for length in T5_LENGTHS},
            "t5Tokens": len(t5(text)["input_ids"]),
        }
        for text in PROMPTS
    ]
    how = f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}"
    write(out / "tokens.json", {"how": how, "cases": cases})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
