import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { runChecks } from '../checks.mjs';

const folder = mkdtempSync(join(tmpdir(), 'emloc-checks-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function program(name: string, text: string): [string, [string]] {
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, text);
  return [name, [path]];
}

it('names what failed, says what it printed, and goes on after it', async () => {
  const lines: string[] = [];
  const failed = await runChecks(
    [
      [program('broken', 'console.error("why"); process.exit(3);'), program('after', '')],
      [program('beside', 'console.log("fine");'), ['missing', [join(folder, 'nothing.mjs')]]],
    ],
    (text) => lines.push(text),
  );
  expect(failed.sort()).toEqual(['broken', 'missing']);
  expect(lines).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^why\nbroken: failed \(\d/),
      expect.stringMatching(/^after: passed/),
      expect.stringMatching(/^fine\nbeside: passed/),
    ]),
  );
});

it('runs lanes side by side', async () => {
  const meeting = (own: string, other: string): string => `
    import { existsSync, writeFileSync } from 'node:fs';
    writeFileSync(${JSON.stringify(join(folder, own))}, '');
    while (!existsSync(${JSON.stringify(join(folder, other))}));`;
  const [one, two] = [program('one', meeting('a', 'b')), program('two', meeting('b', 'a'))];
  expect(await runChecks([[one], [two]], () => undefined)).toEqual([]);
});
