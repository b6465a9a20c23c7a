/**
 * Writes the example data set: `node examples/make-data.mjs [FOLDER]` (default: `data` beside this
 * file). The same bytes every time. The task is described in README.md.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const seed = 'emloc example 1';
const rowCounts = { 'train.jsonl': 2000, 'test.jsonl': 300 };

// Words that the example model's tokenizer splits into few tokens. Every item has a regular plural.
const names = [
  'Mary',
  'David',
  'Michael',
  'James',
  'Tom',
  'Sam',
  'Ben',
  'Max',
  'Mike',
  'Peter',
  'Jack',
  'Jane',
  'Kate',
  'Alice',
  'Bob',
  'Eve',
  'Nick',
  'Nora',
  'Rose',
  'Amy',
  'Adam',
  'Anne',
  'Eric',
  'Grace',
];
const items = [
  'book',
  'table',
  'key',
  'map',
  'film',
  'card',
  'car',
  'cup',
  'cake',
  'clock',
  'coat',
  'bag',
  'toy',
  'door',
  'phone',
  'lamp',
  'pen',
  'hat',
  'ring',
  'picture',
];
const numbers = [
  'one',
  'two',
  'three',
  'four',
  'five',
  'six',
  'seven',
  'eight',
  'nine',
  'ten',
  'eleven',
  'twelve',
];
const places = [
  'Paris',
  'London',
  'Rome',
  'Berlin',
  'Oslo',
  'York',
  'Boston',
  'Dallas',
  'Dublin',
  'Athens',
  'Lima',
  'Milan',
  'Miami',
  'Seattle',
  'Austin',
  'Bern',
];
const months = ['January', 'March', 'April', 'May', 'June', 'July', 'August', 'September'];
/** In a third of the sentences; no part of the answer. */
const adjectives = [
  'new',
  'old',
  'red',
  'blue',
  'black',
  'white',
  'green',
  'small',
  'large',
  'big',
];

const sentences = [
  ({ name, goods, place, month }) => `In ${month} ${name} sent ${goods} to ${place}.`,
  ({ name, goods, place, month }) => `${name} ordered ${goods} from ${place} in ${month}.`,
  ({ name, goods, place, month }) => `Please send ${goods} to ${name} in ${place} by ${month}.`,
  ({ name, goods, place, month }) => `${name} from ${place} needs ${goods} for ${month}.`,
  ({ name, goods, place, month }) => `We sold ${goods} to ${name} from ${place} in ${month}.`,
  ({ name, goods, place, month }) => `${name} wants ${goods} to be sent to ${place} in ${month}.`,
  ({ name, goods, place, month }) => `Since ${month}, ${name} has ${goods} in ${place}.`,
  ({ name, goods, place, month }) => `In ${place}, ${name} found ${goods} in ${month}.`,
  ({ name, goods, place, month }) => `The ${place} store has ${goods} for ${name} until ${month}.`,
  ({ name, goods, place, month }) => `For ${month}, ${name} asked for ${goods} from ${place}.`,
  ({ name, goods, place, month }) => `${month} order from ${place}: ${goods} for ${name}.`,
  ({ name, goods, place, month }) => `A friend in ${place} gave ${name} ${goods} last ${month}.`,
];

let draws = 0;

/** One of the choices, from SHA-256 of seed and count of draws. */
function pick(choices) {
  const digest = createHash('sha256').update(`${seed} ${draws}`).digest();
  draws += 1;
  return choices[digest.readUInt32LE(0) % choices.length];
}

function drawRow() {
  const name = pick(names);
  const item = pick(items);
  const word = pick(numbers);
  const count = numbers.indexOf(word) + 1;
  const place = pick(places);
  const month = pick(months);
  const amount = pick([word, String(count)]);
  const adjective = pick([`${pick(adjectives)} `, '', '']);
  const goods = `${amount} ${adjective}${item}${count === 1 ? '' : 's'}`;
  const prompt = pick(sentences)({ name, goods, place, month });
  return { prompt, completion: answer({ name, item, count, place, month }) };
}

/** JSON with a space after each colon and comma. */
function answer(order) {
  const fields = Object.entries(order).map(
    ([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`,
  );
  return `{${fields.join(', ')}}`;
}

/**
 * No two rows of all files have the same answer, so no test row can be answered by repeating a
 * training row.
 */
function drawDistinctRows(count) {
  const rows = new Map();
  while (rows.size < count) {
    const row = drawRow();
    if (!rows.has(row.completion)) rows.set(row.completion, row);
  }
  return [...rows.values()];
}

const folder = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), 'data');
mkdirSync(folder, { recursive: true });
const rows = drawDistinctRows(Object.values(rowCounts).reduce((sum, count) => sum + count, 0));
for (const [file, count] of Object.entries(rowCounts)) {
  const lines = rows.splice(0, count).map((row) => `${JSON.stringify(row)}\n`);
  writeFileSync(join(folder, file), lines.join(''));
}
