"""What pretraining asks about a picture: (question, answer) pairs with one right answer each."""

from random import Random

from draw import KINDS, NAMES, PLACES, Picture

PLURALS = {kind: kind + ('es' if kind == 'cross' else 's') for kind in KINDS}
ORDINALS = ['first', 'second', 'third', 'fourth', 'fifth']


def describe(picture: Picture) -> str:
    """Everything that is drawn, in reading order."""
    facts = picture.facts
    if picture.kind == 'shapes':
        return ', '.join(f'a {_shape(fact)} at the {fact["place"]}' for fact in facts)
    if picture.kind == 'chart':
        return ', '.join(f'{fact["label"]} {fact["value"]} {fact["colour"]}' for fact in facts)
    return f'the {picture.kind} {facts[0]["text"]} in {facts[0]["colour"]}'


def ask(random: Random, picture: Picture, count: int) -> list[tuple[str, str]]:
    """count questions of different forms, the description among them one time in four."""
    of_kind = {'shapes': _about_shapes, 'chart': _about_chart}.get(picture.kind, _about_text)
    pairs = of_kind(random, picture.facts)
    random.shuffle(pairs)
    pairs = pairs[:count]
    if random.random() < 0.25:
        text = random.choice(['Describe the picture.', 'What is in the picture?'])
        pairs[random.randrange(len(pairs))] = (text, describe(picture))
    return pairs


def _shape(fact: dict) -> str:
    return f'{"big" if fact["big"] else "small"} {fact["colour"]} {fact["kind"]}'


def _about_shapes(random: Random, facts: list) -> list[tuple[str, str]]:
    fact = random.choice(facts)
    colour = random.choice([fact['colour'], random.choice(NAMES)])
    kind = random.choice([fact['kind'], random.choice(KINDS)])
    place = random.choice([fact['place'], random.choice(random.choice(PLACES))])
    there = [_shape(other) for other in facts if other['place'] == place]
    both = any(other['colour'] == colour and other['kind'] == kind for other in facts)
    pairs = [
        ('How many shapes are there?', str(len(facts))),
        (f'How many {colour} shapes are there?', _count(facts, 'colour', colour)),
        (f'How many {PLURALS[kind]} are there?', _count(facts, 'kind', kind)),
        (f'Is there a {colour} {kind}?', 'yes' if both else 'no'),
        (f'What is at the {place}?', there[0] if there else 'nothing'),
        ('Which shapes are there?', ', '.join(other['kind'] for other in facts)),
        ('Which colours are there?', ', '.join(other['colour'] for other in facts)),
    ]
    if _count(facts, 'kind', fact['kind']) == '1':
        pairs.append((f'What colour is the {fact["kind"]}?', fact['colour']))
        pairs.append((f'Where is the {fact["kind"]}?', fact['place']))
        pairs.append((f'How big is the {fact["kind"]}?', 'big' if fact['big'] else 'small'))
    if _count(facts, 'colour', fact['colour']) == '1':
        pairs.append((f'Which shape is {fact["colour"]}?', fact['kind']))
    return pairs


def _count(facts: list, key: str, value: str) -> str:
    return str(sum(fact[key] == value for fact in facts))


def _about_text(random: Random, facts: list) -> list[tuple[str, str]]:
    text, colour = facts[0]['text'], facts[0]['colour']
    place = random.randrange(min(len(text), len(ORDINALS)))
    pairs = [
        ('What is written?', text),
        ('What does it say?', text),
        ('How many characters are there?', str(len(text))),
        (f'Which character is {ORDINALS[place]}?', text[place]),
        ('Which character is last?', text[-1]),
        ('What colour is the text?', colour),
        ('Is it a number or a word?', 'number' if text.isdigit() else 'word'),
    ]
    return pairs


def _about_chart(random: Random, facts: list) -> list[tuple[str, str]]:
    bar, other = random.sample(facts, 2)
    tallest, shortest = (pick(facts, key=lambda fact: fact['value']) for pick in (max, min))
    taller = 'yes' if bar['value'] > other['value'] else 'no'
    return [
        ('How many bars are there?', str(len(facts))),
        ('Which bar is the tallest?', tallest['label']),
        ('Which bar is the shortest?', shortest['label']),
        ('What is the highest value?', str(tallest['value'])),
        ('What is the lowest value?', str(shortest['value'])),
        (f'What is the value of {bar["label"]}?', str(bar['value'])),
        (f'Which bar has the value {bar["value"]}?', bar['label']),
        (f'What colour is {bar["label"]}?', bar['colour']),
        (f'Which bar is {bar["colour"]}?', bar['label']),
        (f'Is {bar["label"]} taller than {other["label"]}?', taller),
        ('Which bars are there?', ', '.join(fact['label'] for fact in facts)),
        ('What are the values?', ', '.join(str(fact['value']) for fact in facts)),
    ]
