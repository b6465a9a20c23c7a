"""Makes scores.json, the known scores of answers: python make_scores.py > scores.json

Python 3.11 and its standard library alone. Each metric is written down here a second time, with
Python's own float(), str methods, re and difflib, so that texts are read as the evaluation
scripts of the data sets read them.
"""

import difflib
import json
import random
import re
import string
from collections import Counter


def number(text):
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def relaxed(answer, golds):
    def right(gold):
        a, g = answer.strip(), gold.strip()
        p, t = number(a), number(g)
        if p is not None and t:
            return abs(p - t) / abs(t) <= 0.05
        return a.lower() == g.lower()

    return float(any(right(gold) for gold in golds))


def distance(a, b):
    rows = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) + 1):
        for j in range(len(b) + 1):
            if i == 0 or j == 0:
                rows[i][j] = i + j
            else:
                change = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1])
                rows[i][j] = min(change, rows[i - 1][j] + 1, rows[i][j - 1] + 1)
    return rows[-1][-1]


def anls(answer, golds):
    def far(gold):
        longest = max(len(gold.upper()), len(answer.upper()))
        plain = [" ".join(text.strip().lower().split()) for text in (gold, answer)]
        return distance(*plain) / longest if longest else 0.0

    near = 1 - min(far(gold) for gold in golds)
    return near if near >= 0.5 else 0.0


WHOLE = (
    "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't "
    "haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't "
    "mightn't've must've mustn't needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've "
    "shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll "
    "someone's something'd something'd've something'll that's there'd there'd've there're there's "
    "they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're "
    "what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll "
    "why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've "
    "you'll you're you've"
)
CONTRACTIONS = {"somebody'd": "somebodyd"}
for word in WHOLE.split():
    for place, letter in enumerate(word):
        if letter == "'":
            CONTRACTIONS[word[:place] + word[place + 1 :]] = word
NUMBERS = "zero one two three four five six seven eight nine ten".split()


def vqa_text(text):
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    whole = text.replace("\n", " ").replace("\t", " ").strip()
    text = whole
    for mark in ";/[]\"{}()=+\\_-><@`!":
        beside = mark + " " in whole or " " + mark in whole
        text = text.replace(mark, "" if beside else " ")
    text = re.sub(r"\.(?!\d)", "", text, count=32)
    kept = []
    for word in text.lower().split():
        word = str(NUMBERS.index(word)) if word in NUMBERS else "0" if word == "none" else word
        if word not in ("a", "an", "the"):
            kept.append(CONTRACTIONS.get(word, word))
    return " ".join(kept)


def vqa(answer, golds):
    answer, golds = vqa_text(answer), [vqa_text(gold) for gold in golds]
    if len(golds) == 1:
        return float(answer == golds[0])
    needed = min(3, len(golds) - 1)
    parts = []
    for left_out in range(len(golds)):
        others = golds[:left_out] + golds[left_out + 1 :]
        parts.append(min(1, others.count(answer) / needed))
    return sum(parts) / len(parts) if answer in golds else 0.0


def squad_text(text):
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def squad(answer, golds):
    def f1(gold):
        a, g = squad_text(answer).split(), squad_text(gold).split()
        same = sum((Counter(a) & Counter(g)).values())
        if same == 0:
            return 0.0
        precision, recall = same / len(a), same / len(g)
        return 2 * precision * recall / (precision + recall)

    exact = any(squad_text(answer) == squad_text(gold) for gold in golds)
    return {"exactMatch": float(exact), "f1": max(f1(gold) for gold in golds)}


def most_similar(answer, options):
    """The authors of PMC-VQA take the first option of the highest ratio above 0."""
    best, highest = None, 0
    for index, option in enumerate(options):
        ratio = difflib.SequenceMatcher(None, option, answer).ratio()
        if ratio > highest:
            best, highest = index, ratio
    return best


RELAXED = [
    ("12", "12"), ("12.6", "12"), ("12.61", "12"), ("11.4", "12"), ("11.39", "12"),
    ("12%", "0.12"), ("12 %", "12%"), ("0.12", "12%"), ("12%%", "0.12"), ("%", "%"), ("%", "5"),
    ("1e5", "100000"), ("1,000", "1000"), ("1,000", "1,000"), ("1_000", "1000"), (" 5 ", "5"),
    ("5\n", "\t5.1"), ("inf", "inf"), ("nan", "nan"), ("infinity", "INF"), ("-inf", "inf"),
    ("１２", "12"), ("٣", "3.1"), ("²", "2"), ("0", "0"), ("0.0", "0"), ("0.01", "0"),
    ("-0", "0"), ("-10", "10"), ("-10.4", "-10"), ("$5", "5"), ("5 km", "5"), ("Yes", "yes "),
    ("ΟΔΟΣ", "οδος"), ("İ", "i̇"), ("ß", "SS"), ("0x10", "16"), ("5.", ".5e1"), ("1__0", "10"),
    ("\u001c5", "5"), ("\ufeff5", "5"), ("\u00855\u3000", "5"), ("1e400", "1e400"), ("", ""),
    ("2019", "2020"), ("1e1_0", "10000000000"), ("5\u001c%", "5%"), ("[1, 2]", "[1, 2]"),
    ("𝟏𝟘", "10"),
]
RELAXED_LISTS = [("blue", ["red", "Blue"]), ("10", ["5", "10.2"]), ("x", ["y", "z"])]
ANLS = [
    ("Coca Cola", ["coca cola"]), ("coca  cola", ["Coca Cola"]), ("", [""]), ("a", [""]),
    ("", ["a"]), ("itc limited", ["ITC Limted"]), ("abcd", ["abxy"]), ("abcde", ["abxyz"]),
    ("abcdef", ["abcxyz"]), ("a b c", ["abc"]), ("  padded  ", ["padded"]), ("tab\there", ["tab here"]),
    ("T.F. Riehl", ["T.F. Riehl", "T.F. RIEHL"]), ("0.28", ["0.2", "0.27", "9"]), ("Straße", ["strasse"]),
    ("ﬁve", ["five"]), ("İstanbul", ["istanbul"]), ("naïve", ["naive"]), ("😀😀", ["😀😁"]),
    ("😀a", ["a"]), ("😀😀a", ["😀😀b"]), ("日本語", ["日本"]), ("no-break\u00a0space", ["no-break space"]),
    ("kitten", ["sitting"]), ("$1,000", ["1000"]), ("a\u001cb", ["a b"]), ("\ufeffa", ["a"]),
    ("the answer is 5", ["5"]), ("University of California", ["university of california, san diego"]),
    ("ΟΔΟΣ", ["οδοσ"]), (" " * 20 + "x", ["x"]), ("x" * 300, ["x" * 280 + "y" * 20]),
]
TEN = ["yes"] * 10
MIXED = ["blue", "blue", "Blue.", "light blue", "navy", "navy", "the blue", "azure", "teal", "cyan"]
VQA = [
    ("yes", TEN), ("Yes.", TEN), ("no", TEN), ("blue", MIXED), ("navy", MIXED), ("teal", MIXED),
    ("a navy", MIXED), ("red", MIXED), ("two", ["2"] * 3 + ["3"] * 7), ("2", ["two"] * 2 + ["x"] * 8),
    ("none", ["0"] * 10), ("dont walk", ["don't walk"] * 10), ("don't walk", ["dont walk"] * 10),
    ("couldntve", ["couldn't've"] * 10), ("couldnt've", ["couldn'tve"] * 10), ("stop!", ["stop"] * 10),
    ("red/white", ["red white"] * 10), ("red / white", ["red white"] * 10),
    ("t-shirt", ["t shirt"] * 10), ("t - shirt", ["t  shirt"] * 10), ("t-shirt - red", ["tshirt red"] * 10),
    ("1,000", ["1000"] * 10), ("$1.50", ["$1.50"] * 10), ("3.", ["3"] * 10), ("12:30", ["12 30"] * 10),
    ("mcdonald's", ["mcdonald 's"] * 10), ("hes", ["he's"] * 10), ("he's", ["he 's"] * 10),
    ("let's go", ["lets go"] * 10), ("the the", ["a"] * 10), ("", ["the"] * 10), ("e.g. this", ["eg this"] * 10),
    ("a.1", ["a1"] * 10), ("." * 40 + "x", ["." * 8 + "x"] * 10), ("what?", ["what"] * 10),
    ("line\nbreak", ["line break"] * 10), ("line\tbreak", ["line break"] * 10), ("x;y", ["x y"] * 10),
    ("somebody'd", ["somebodyd"] * 10), ("ya'll", ["y'all"] * 10), ("yalldve", ["y'all'd've"] * 10),
    ("yall'd've", ["y'alld've"] * 10), ("twas", ["'twas"] * 10), ("Id've", ["i'd've"] * 10),
    ("٣.٤", ["٣.٤"] * 10), ("constructor", ["constructor"] * 10), ("yes", ["yes"]), ("The yes", ["yes"]),
    ("no", ["yes"]), ("yes", ["yes", "no"]), ("yes", ["yes"] * 2), ("yes", ["yes", "yes", "no"]),
    ("yes", ["yes", "yes", "no", "no"]), ("yes", ["yes"] * 3 + ["no"] * 2),
]
SQUAD = [
    ("The cat", ["cat"]), ("cat.", ["the Cat!"]), ("a cat sat", ["cat sat down"]), ("dog", ["cat", "dog"]),
    ("an the a", ["the"]), ("", [""]), ("", ["x"]), ("x", [""]), ("U.S.A.", ["usa"]), ("don't", ["dont"]),
    ("a-b", ["ab"]), ("a b", ["b"]), ("theatre", ["atre"]), ("l'a", ["la"]), ("é a", ["é"]), ("éa b", ["é b"]),
    ("aé", ["é"]), ("a̧ x", ["̧ x"]), ("x x y", ["x y y"]), ("x x x", ["x"]), ("“quoted”", ["quoted"]),
    ("¿qué?", ["qué"]), ("$5,000", ["5000"]), ("a_b", ["ab"]), ("the　wide", ["wide"]), ("A²", ["a²"]),
    ("a² the", ["²"]), ("new york city", ["New York", "york city hall", "boston"]), ("1 2 3 4", ["1 2 5 6 7"]),
    ("ΟΔΟΣ a", ["οδος"]), ("x\u001cy", ["x y"]), ("x\ufeffy", ["x y"]), ("the-a", ["thea"]), ("😀a😀", ["😀 😀"]),
]
WORDS = ["Uterus", "Right lobe of the liver", "Left lobe of the liver", "Urinary bladder"]
FREE = [
    ("liver, left lobe", WORDS), ("uterine", WORDS), ("bladder wall", WORDS), ("right liver", WORDS),
    ("the left-sided lobe", WORDS), ("Uterus and ovaries", WORDS), ("gall bladder", WORDS), ("###", WORDS),
    ("lobe of the liver", WORDS), ("LIVER LOBE", WORDS), ("hepatic tissue", WORDS), ("urinary tract", WORDS),
]
SIMILAR = [
    ("", ""), ("", "a"), ("abcd", "bcde"), ("ab", "acab"), ("acab", "ab"), ("tide", "diet"), ("diet", "tide"),
    ("private thread", "private volatile thread"), ("aaaa", "aa"), ("abxcd", "abcd"), ("😀b😀", "b😀"),
    ("the liver", "Liver"), ("qabxcd", "abycdf"), ("a" * 199, "a" * 199), ("a" * 200, "a" * 200),
    ("b" + "a" * 200, "a" * 200 + "b"), ("日本語の文", "日本の語文"),
]


def long_pairs(seed):
    """Texts on both sides of 200 characters, where characters become popular."""
    draw = random.Random(seed)
    for length, letters in [(198, 3), (199, 80), (200, 80), (201, 3), (250, 150), (320, 60), (450, 26)]:
        for _ in range(2):
            first = "".join(chr(0x100 + draw.randrange(letters)) for _ in range(length))
            cut = draw.randrange(length)
            changed = first[cut:] + first[: cut // 2] + "xyz" + first[cut // 3 : cut]
            yield first, changed[: length + draw.randrange(5)]


def golden():
    lists = [(a, [g]) for a, g in RELAXED] + RELAXED_LISTS
    pairs = SIMILAR + list(long_pairs(7))
    return {
        "relaxed-accuracy": [[a, g, relaxed(a, g)] for a, g in lists],
        "anls": [[a, g, anls(a, g)] for a, g in ANLS],
        "vqa": [[a, g, vqa(a, g)] for a, g in VQA],
        "squad": [[a, g, squad(a, g)] for a, g in SQUAD],
        "mostSimilar": [[a, o, most_similar(a, o)] for a, o in FREE],
        "ratio": [[a, b, difflib.SequenceMatcher(None, a, b).ratio()] for a, b in pairs],
    }


if __name__ == "__main__":
    rows = [
        f' "{name}": [\n' + ",\n".join("  " + json.dumps(case) for case in cases) + "\n ]"
        for name, cases in golden().items()
    ]
    print("{\n" + ",\n".join(rows) + "\n}")
