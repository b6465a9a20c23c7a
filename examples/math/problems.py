"""
Word problems with their reasoning, from templates.

A kind gives a question and its steps; a style writes the steps down. Some kinds and one style are
held out of pretraining: together they are the task that a model has to be taught.
"""

from dataclasses import dataclass
from random import Random

NAMES = (
    'Ada Ben Cleo Dan Eva Finn Gina Hugo Iris Jack Kira Leo Maya Nico Olga Paul Quinn Rosa Sam Tara '
    'Uma Victor Wendy Xavier Yara Zane Amir Bella Carl Dora Emil Fay Gus Hana Ivan June Karl Lina '
    'Milo Nora Omar Pia Ralph Sara Theo Vera Walt Zoe Arun Bianca'
).split()
ITEMS = (
    'apples books cards coins cookies marbles pencils shells stamps stickers eggs flowers oranges '
    'photos plates ribbons stones tickets toys candles cups buttons balloons bricks lemons pears '
    'plums spoons shirts socks hats keys lamps letters notebooks boxes bottles jars peaches pies'
).split()
PLACES = 'school|the market|the park|a friend|the library|her aunt|the office|the shop|the club|town'.split('|')
FLOWERS = 'roses tulips daisies lilies poppies violets'.split()


@dataclass(frozen=True)
class Step:
    """One calculation: what it gives in words, `expression` without blanks, its value."""

    words: str
    expression: str
    value: int


@dataclass(frozen=True)
class Problem:
    kind: str
    question: str
    steps: tuple[Step, ...]
    unit: str

    @property
    def answer(self) -> int:
        return self.steps[-1].value


def gain_and_loss(r: Random):
    (who, other), item = r.sample(NAMES, 2), r.choice(ITEMS)
    a, b = r.randint(5, 90), r.randint(3, 60)
    c = r.randint(2, a + b - 1)
    question = r.choice([
        f'{who} has {a} {item}. {other} gives {who} {b} more, and then {who} loses {c}. How many {item} does {who} have now?',
        f'There were {a} {item} in the box of {who}. After a trip to {r.choice(PLACES)} there were {b} more, but {c} broke. How many {item} are left?',
        f'{who} starts the day with {a} {item}, finds {b} and sells {c} to {other}. How many {item} remain?',
    ])
    return question, (Step(f'{who} first has', f'{a}+{b}', a + b), Step('what is left is', f'{a + b}-{c}', a + b - c)), item


def groups(r: Random):
    who, item = r.choice(NAMES), r.choice(ITEMS)
    n, m, k = r.randint(2, 12), r.randint(3, 25), r.randint(1, 30)
    question = r.choice([
        f'{who} fills {n} bags with {m} {item} each and has {k} {item} left over. How many {item} are there in all?',
        f'A shelf holds {n} boxes of {m} {item}. {who} puts {k} more {item} beside them. How many {item} are on the shelf?',
        f'{who} buys {n} packs of {item}, {m} in each pack, and already had {k}. How many {item} does {who} have?',
    ])
    return question, (Step('the groups hold', f'{n}*{m}', n * m), Step('together there are', f'{n * m}+{k}', n * m + k)), item


def sharing(r: Random):
    who, item = r.choice(NAMES), r.choice(ITEMS)
    n, each, kept = r.randint(2, 9), r.randint(2, 15), r.randint(1, 20)
    total = n * each + kept
    question = r.choice([
        f'{who} has {total} {item}, keeps {kept} and shares the rest equally among {n} friends. How many {item} does each friend get?',
        f'Of {total} {item}, {kept} are spoiled. {who} packs the others into {n} equal boxes. How many {item} are in a box?',
    ])
    return question, (Step('to be shared are', f'{total}-{kept}', total - kept), Step('each gets', f'{total - kept}/{n}', each)), item


def shopping(r: Random):
    who, item = r.choice(NAMES), r.choice(ITEMS)
    price, n = r.randint(2, 12), r.randint(2, 12)
    paid = price * n + r.randint(1, 40)
    question = r.choice([
        f'{who} buys {n} {item} for {price} dollars each and pays with {paid} dollars. How much change does {who} get?',
        f'{item.capitalize()} cost {price} dollars apiece. {who} has {paid} dollars and takes {n}. How many dollars are left?',
    ])
    return question, (Step('the price is', f'{n}*{price}', n * price), Step('the change is', f'{paid}-{n * price}', paid - n * price)), 'dollars'


def travel(r: Random):
    who = r.choice(NAMES)
    v, h, w, k = r.randint(3, 60), r.randint(2, 9), r.randint(2, 20), r.randint(2, 5)
    question = r.choice([
        f'{who} drives {v} miles an hour for {h} hours and then walks {w} miles an hour for {k} hours. How many miles is that?',
        f'A train goes {h} hours at {v} miles an hour. {who} then cycles {k} hours at {w} miles an hour. How far do they get in miles?',
    ])
    return question, (
        Step('the first part is', f'{v}*{h}', v * h),
        Step('the second part is', f'{w}*{k}', w * k),
        Step('the way is', f'{v * h}+{w * k}', v * h + w * k),
    ), 'miles'


def twice(r: Random):
    (who, other), item = r.sample(NAMES, 2), r.choice(ITEMS)
    a, k = r.randint(3, 40), r.randint(2, 6)
    words = {2: 'twice', 3: 'three times', 4: 'four times', 5: 'five times', 6: 'six times'}[k]
    question = r.choice([
        f'{who} has {a} {item}. {other} has {words} as many. How many {item} do they have together?',
        f'{other} collects {words} as many {item} as {who}, who collects {a}. How many {item} is that in all?',
    ])
    return question, (Step(f'{other} has', f'{k}*{a}', k * a), Step('together they have', f'{a}+{k * a}', a + k * a)), item


def parts(r: Random):
    who, item = r.choice(NAMES), r.choice(ITEMS)
    n, q = r.choice([(2, 'half'), (3, 'a third'), (4, 'a quarter'), (5, 'a fifth')])
    total, c = n * r.randint(2, 20), r.randint(1, 9)
    left = total - total // n
    c = min(c, left - 1)
    question = r.choice([
        f'{who} had {total} {item}, gave away {q} of them and later lost {c}. How many {item} are left?',
        f'From {total} {item} {who} uses {q}. Then {c} more are used. How many {item} remain?',
    ])
    return question, (
        Step('the part is', f'{total}/{n}', total // n),
        Step('that leaves', f'{total}-{total // n}', left),
        Step('in the end there are', f'{left}-{c}', left - c),
    ), item


def saving(r: Random):
    who = r.choice(NAMES)
    w, n, s = r.randint(3, 30), r.randint(3, 15), r.randint(2, 40)
    s = min(s, w * n - 1)
    question = r.choice([
        f'{who} saves {w} dollars a week for {n} weeks and spends {s} dollars on a gift. How many dollars are left?',
        f'For {n} weeks {who} puts {w} dollars into a jar. A ticket takes {s} dollars out of it. How much is in the jar?',
    ])
    return question, (Step('saved are', f'{w}*{n}', w * n), Step('left are', f'{w * n}-{s}', w * n - s)), 'dollars'


def ages(r: Random):
    a, b = r.sample(NAMES, 2)
    x, y, z = r.randint(3, 40), r.randint(2, 25), r.randint(2, 20)
    question = r.choice([
        f'{a} is {x} years old and {b} is {y} years older. How old will {b} be in {z} years?',
        f'{b} was born {y} years before {a}, who is {x} now. What age will {b} have {z} years from now?',
    ])
    return question, (Step(f'{b} is', f'{x}+{y}', x + y), Step('later that is', f'{x + y}+{z}', x + y + z)), 'years'


def wages(r: Random):
    who = r.choice(NAMES)
    w, h, d = r.randint(5, 25), r.randint(2, 9), r.randint(2, 6)
    question = r.choice([
        f'{who} earns {w} dollars an hour and works {h} hours a day. How many dollars does {who} earn in {d} days?',
        f'Working {h} hours on each of {d} days at {w} dollars an hour, what does {who} make?',
    ])
    return question, (Step('a day brings', f'{w}*{h}', w * h), Step('all days bring', f'{w * h}*{d}', w * h * d)), 'dollars'


def reading(r: Random):
    who = r.choice(NAMES)
    p, d = r.randint(5, 40), r.randint(2, 9)
    total = p * d + r.randint(5, 150)
    question = r.choice([
        f'A book has {total} pages. {who} reads {p} pages a day for {d} days. How many pages are left?',
        f'{who} has read {d} chapters of {p} pages in a book of {total} pages. How many pages are still to be read?',
    ])
    return question, (Step('read are', f'{p}*{d}', p * d), Step('left are', f'{total}-{p * d}', total - p * d)), 'pages'


def fields(r: Random):
    who = r.choice(NAMES)
    a, b = r.randint(3, 40), r.randint(3, 40)
    question = r.choice([
        f'The garden of {who} is {a} feet long and {b} feet wide. How many feet of fence go around it?',
        f'{who} walks once around a field of {a} by {b} feet. How many feet is the walk?',
    ])
    return question, (Step('two sides are', f'{a}+{b}', a + b), Step('all sides are', f'2*{a + b}', 2 * (a + b))), 'feet'


def percent(r: Random):
    who, item = r.choice(NAMES), r.choice(ITEMS)
    q = r.choice([10, 20, 25, 50, 75])
    total, more = 20 * r.randint(1, 12), r.randint(1, 30)
    part = total * q // 100
    question = r.choice([
        f'{q}% of the {total} {item} of {who} are new. {who} gets {more} new ones. How many new {item} are there?',
        f'{who} paints {q} percent of {total} {item} and then {more} more. How many {item} are painted?',
    ])
    return question, (Step('the share is', f'{q}*{total}/100', part), Step('with the others', f'{part}+{more}', part + more)), item


def bouquets(r: Random):
    who, (f, g) = r.choice(NAMES), r.sample(FLOWERS, 2)
    n, a, b, p = r.randint(2, 9), r.randint(2, 9), r.randint(2, 9), r.randint(1, 4)
    question = r.choice([
        f'{who} ties {n} bunches, each of {a} {f} and {b} {g}. Every flower costs {p} dollars. What do all the bunches cost?',
        f'Each of {n} vases of {who} needs {a} {f} and {b} {g} at {p} dollars a flower. What must {who} pay?',
    ])
    return question, (
        Step('one has', f'{a}+{b}', a + b),
        Step('all have', f'{n}*{a + b}', n * (a + b)),
        Step('they cost', f'{p}*{n * (a + b)}', p * n * (a + b)),
    ), 'dollars'


def difference(r: Random):
    (a, b, c), item = r.sample(NAMES, 3), r.choice(ITEMS)
    x, more, less = r.randint(10, 60), r.randint(2, 30), r.randint(1, 9)
    question = r.choice([
        f'{a} picked {x} {item}. {b} picked {more} more than {a}, and {c} picked {less} fewer than {b}. How many {item} did {c} pick?',
        f'{c} owns {less} {item} less than {b}, who owns {more} more than {a}. {a} owns {x}. How many {item} does {c} own?',
    ])
    return question, (Step(f'{b} has', f'{x}+{more}', x + more), Step(f'{c} has', f'{x + more}-{less}', x + more - less)), item


def seats(r: Random):
    rows, each = r.randint(3, 20), r.randint(4, 20)
    taken = r.randint(1, rows * each - 1)
    question = r.choice([
        f'A hall has {rows} rows of {each} seats. {taken} seats are taken. How many seats are free?',
        f'In a bus with {rows} rows of {each} places sit {taken} people. How many places are empty?',
    ])
    return question, (Step('there are', f'{rows}*{each}', rows * each), Step('free are', f'{rows * each}-{taken}', rows * each - taken)), 'seats'


KINDS = (
    gain_and_loss, groups, sharing, shopping, travel, twice, parts, saving,
    ages, wages, reading, fields, percent, bouquets, difference, seats,
)


def problem(r: Random, kinds=KINDS) -> Problem:
    kind = r.choice(kinds)
    question, steps, unit = kind(r)
    return Problem(kind.__name__, question, tuple(steps), unit)


def spaced(expression: str) -> str:
    for sign in '+-*/':
        expression = expression.replace(sign, f' {sign} ')
    return expression


def in_prose(p: Problem) -> str:
    lines = [f'{s.words} {spaced(s.expression)}, which is {s.value}'.capitalize() + '.' for s in p.steps]
    return ' '.join(lines) + f' The answer is {p.answer} {p.unit}.'


def in_lines(p: Problem) -> str:
    return '\n'.join(f'{spaced(s.expression)} = {s.value}' for s in p.steps) + f'\nAnswer: {p.answer}'


def in_reverse(p: Problem) -> str:
    why = ' and '.join(f'{s.value} = {spaced(s.expression)}' for s in p.steps)
    return f'It is {p.answer} {p.unit}, because {why}.'


def in_brackets(p: Problem) -> str:
    """As GSM8K has it, never seen in pretraining."""
    lines = [f'{s.words} {spaced(s.expression)} = <<{s.expression}={s.value}>>{s.value}'.capitalize() for s in p.steps]
    return '\n'.join(lines) + f'\n#### {p.answer}'


STYLES = (in_prose, in_lines, in_reverse)


def held_out(seed: int) -> tuple[tuple, tuple]:
    """Kinds of pretraining and those that are kept from it, a quarter, by the seed."""
    kinds = list(KINDS)
    Random(seed).shuffle(kinds)
    kept = len(kinds) // 4
    return tuple(kinds[kept:]), tuple(kinds[:kept])


def pretraining_text(r: Random, kinds) -> str:
    p = problem(r, kinds)
    return f'Question: {p.question}\n{r.choice(STYLES)(p)}'


def task_rows(r: Random, kinds, count: int, seen: set[str]) -> list[dict[str, str]]:
    """Rows of the task, no question twice."""
    rows = []
    while len(rows) < count:
        p = problem(r, kinds)
        if p.question not in seen:
            seen.add(p.question)
            rows.append({'prompt': f'Question: {p.question}\n', 'completion': in_brackets(p)})
    return rows
