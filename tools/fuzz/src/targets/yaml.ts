import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';

import { limits } from '../judge.js';
import { mutateText } from '../mutate-text.js';
import type { OpenTarget } from '../target.js';
import { addModel, enoughRows, writeRows } from '../workplace.js';

const fragments = [
  '- ',
  '? ',
  ': ',
  '- '.repeat(5000),
  '['.repeat(50_000),
  '{a: '.repeat(3000),
  '&a ',
  '*a',
  '!!binary ',
  '"',
  "'",
  '|\n',
  '\t',
  '%YAML 9\n',
  '---\n',
  '#',
  '\u001b[2J',
  '\u202e',
  '.inf',
  '0x10',
  '1e999',
  'ratio:\n  - "(a|aa)+!=0.4"\n',
  'targets: "(([a-z_]+|[0-9]+)+\\\\.?)+!"\n',
  `schedule: ${'x'.repeat(1_000_000)}\n`,
  'unknown-key: 1\n',
];

/** Configuration files of the command. */
export const openYamlTarget: OpenTarget = async ({ root, folder }) => {
  const own = { root, folder: join(folder, 'yaml') };
  await mkdir(own.folder, { recursive: true });
  const model = await addModel(own, 'model');
  const data = await writeRows(own.folder, enoughRows());
  const config = join(own.folder, 'job.yaml');
  const base = `model: ${model}\ndata: ${data}\nsteps: 2\nrank: 2\nratio:\n  - ".*mlp.*=0.4"\n  - 0.5\nvram: 64MiB\nlr: 1e-4\nmax-length: 64\n`;
  return {
    place: /./,
    run: async (dice) => {
      await writeFile(config, mutateText(base, dice, fragments));
      const { code, output } = await runCommand(join(root, 'dist/emloc/emloc.mjs'), config);
      const refusal = refusedFor(code, output);
      if (refusal !== null) throw refusal;
    },
  };
};

interface Ending {
  /** null: killed. */
  readonly code: number | null;
  readonly output: string;
}

function runCommand(program: string, config: string): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, 'plan', '--config', config], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limits.clockMs,
      killSignal: 'SIGKILL',
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', reject).on('close', (code) => resolve({ code, output }));
  });
}

/** What a terminal obeys, which a command never prints. */
const obeyed =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/; // eslint-disable-line no-control-regex -- they are what it is for

/** What a command's words amount to; null: it did its work. */
function refusedFor(code: number | null, output: string): Error | null {
  if (obeyed.test(output))
    return new Error(`control characters are printed: ${JSON.stringify(output.slice(0, 500))}`);
  if (code === 0) return null;
  if (code !== 1 && code !== 2) return new Error(`exit code ${code}: ${output.slice(0, 2000)}`);
  const [, name] = /^error: ([A-Z][A-Z0-9_]*): /m.exec(output) ?? [];
  return Object.assign(new Error(output), { code: name ?? null });
}
