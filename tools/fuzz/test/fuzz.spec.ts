import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../..', import.meta.url));

test('half a minute of hostile files, options and requests is borne', async () => {
  const { stdout } = await promisify(execFile)(
    'npm',
    ['run', '--silent', 'fuzz', '--', '--minutes', '0.5', '--seed', '26'],
    { cwd: root },
  ).catch((error: Error & { readonly stdout?: string }) => {
    throw new Error(error.stdout ?? '', { cause: error });
  });
  const counted = [...stdout.matchAll(/^(\w+): (\d+) cases, .* 0 wrong, /gm)];
  expect(counted.map(([, name]) => name)).toEqual(
    'header config tokenizer pieces template rows adapter options yaml requests'.split(' '),
  );
  for (const [line, , cases] of counted) expect([line, Number(cases) > 0]).toEqual([line, true]);
});
