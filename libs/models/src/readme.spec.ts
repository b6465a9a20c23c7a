import { readFileSync } from 'node:fs';

import { refusal, shapeOf } from '../test/shapes.js';

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');

/** Classes of the README's table of families. */
function documented(): readonly string[] {
  const [, table = ''] = readme.split('| family | class |');
  return [...table.slice(0, table.indexOf('\n\n')).matchAll(/^\|[^|]*\| `(\w+)`/gm)].map(
    ([, name = '']) => name,
  );
}

it('has every class in the README, and no other', () => {
  const { message } = refusal(() => shapeOf({ architectures: ['NoneForCausalLM'] })) as Error;
  const [, known = ''] = /\(supported: (.+)\)/.exec(message) ?? [];

  expect(documented().length).toBeGreaterThan(10);
  expect([...documented()].sort()).toEqual(known.split(', ').sort());
});
