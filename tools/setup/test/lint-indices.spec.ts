import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What the rule says of each piece of code, whose values are declared here. */
function lint(cases: readonly string[]): Record<string, readonly string[]> {
  const declared = [
    'declare const list: readonly { name: string; size?: number }[];',
    'declare const numbers: readonly number[];',
    'declare const typed: Float32Array;',
    'declare const text: string;',
    'declare const i: number;',
    'declare const map: ReadonlyMap<string, number>;',
    'declare const record: Readonly<Record<string, string>>;',
    'declare const optional: readonly (string | undefined)[];',
    'declare const pair: readonly [number, string];',
    'declare const pairs: readonly (readonly [number, string])[];',
    'declare const match: RegExpExecArray;',
    'declare const maybe: readonly number[] | undefined;',
  ].join('\n');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [fileURLToPath(new URL('./lint-indices.mjs', import.meta.url))],
    {
      input: JSON.stringify(
        Object.fromEntries(
          cases.map((code) => [code, `${declared}\n${code.replace('hot: ', '')}`]),
        ),
      ),
      encoding: 'utf8',
    },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, readonly string[]>;
}

const hidden = [
  'numbers[i] ?? 0;',
  'numbers[0] ?? 0;',
  'numbers[i] || 0;',
  'typed[i] ?? 0;',
  "text[i] ?? '';",
  'maybe?.[i] ?? 0;',
  'list[i]?.name;',
  '(list[i])?.name;',
  'list[i]?.size ?? 0;',
  'numbers.at(i) ?? 0;',
  'const [first = 0] = numbers;',
  'const [low = 0, high = 0] = typed;',
  'hot: typed[i] ?? 0;',
];

const cast = [
  'numbers[i] as number;',
  'typed[i] as number;',
  'list[i] as { name: string };',
  'numbers.at(-1) as number;',
  "map.get('a') as number;",
  "record['a'] as string;",
  'match[1] as string;',
  'hot: list[i] as { name: string };',
  "hot: map.get('a') as number;",
];

const allowed = [
  'numbers[i];',
  'numbers[i] === undefined;',
  'numbers.at(0) ?? 0;',
  'numbers.at(-1) ?? 0;',
  'list.at(-1)?.name;',
  "map.get('a') ?? 0;",
  "map.get('a')?.toFixed();",
  "record['a'] ?? '';",
  "record['a']?.length;",
  "record['a'] as string | undefined;",
  "optional[i] ?? '';",
  'pair[0] as number;',
  'pairs.find(([, name]) => name === text)?.[0] ?? 0;',
  "match[1] ?? '';",
  "const [, unit = ''] = /a(b)?/.exec(text) ?? [];",
  'const [first] = numbers; first ?? 0;',
  'hot: typed[i] as number;',
  'hot: numbers[i] as number;',
];

describe('the rule about indices', () => {
  const found = lint([...hidden, ...cast, ...allowed]);

  it.each(hidden)('refuses that %s hides a wrong index', (code) => {
    expect(found[code]?.length).toBeGreaterThan(0);
    for (const message of found[code] ?? [])
      expect(message).toMatch('A wrong index goes on with something else');
  });

  it.each(cast)('refuses that %s casts a wrong index away', (code) => {
    expect(found[code]).toEqual([expect.stringMatching('A wrong index is cast away')]);
  });

  it.each(allowed)('allows %s', (code) => {
    expect(found[code]).toEqual([]);
  });
});
