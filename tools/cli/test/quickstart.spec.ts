import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const page = readFileSync(join(root, 'docs/guide/quickstart.md'), 'utf8');
const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'emloc-quickstart-'));
  const examples = join(folder, 'examples');
  // The page's places, with a model and rows that are smaller.
  cpSync(join(root, 'examples/models/tiny-qwen2'), join(examples, 'models/demo-5m'), {
    recursive: true,
  });
  mkdirSync(join(examples, 'data'));
  for (const [file, count] of [
    ['train.jsonl', 64],
    ['test.jsonl', 8],
  ] as const) {
    const rows = readFileSync(join(root, 'examples/data', file), 'utf8').split('\n');
    writeFileSync(join(examples, 'data', file), `${rows.slice(0, count).join('\n')}\n`);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('does what the quickstart says, command by command', () => {
  expect(blocks.length).toBeGreaterThan(4);
  const command = join(root, 'tools/cli/bin/emloc.cjs');
  const shim = `emloc() { ${JSON.stringify(process.execPath)} ${JSON.stringify(command)} "$@"; }`;
  // Fewer steps, so that it takes seconds.
  const given = blocks.map((block) => block.replace('--steps 100', '--steps 12'));
  const script = ['set -euxo pipefail', shim, ...given].join('\n');
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the quickstart ended with ${status}:\n${stdout}\n${stderr}`);
  for (const path of [
    'my-adapter/adapter_model.safetensors',
    'my-adapter/adapter_config.json',
    'my-adapter/report.html',
    'my-adapter/log.jsonl',
    'merged/model.safetensors',
    'my-adapter.gguf',
  ])
    expect([path, existsSync(join(folder, 'out', path))]).toEqual([path, true]);
});

it('names the commands that it runs', () => {
  const commands = blocks.join('\n').match(/^emloc \w+/gm) ?? [];
  const all = ['info', 'data', 'plan', 'tune', 'eval', 'generate', 'merge', 'export'];
  expect([...new Set(commands)]).toEqual(all.map((name) => `emloc ${name}`));
});
