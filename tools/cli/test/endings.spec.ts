import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { useResidentEmloc } from './resident-emloc.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const command = join(root, 'tools/cli/bin/emloc.cjs');
const model = join(root, 'examples/models/tiny-qwen2');

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-endings-'));
  const text = await readFile(join(root, 'examples/data/train.jsonl'), 'utf8');
  await writeFile(join(folder, 'data.jsonl'), text.split('\n').slice(0, 40).join('\n'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const input = ['--model', model, '--data', 'data.jsonl'];
const brief = [
  ...input,
  '--steps',
  '1',
  '--batch',
  '2',
  '--calibration',
  '2',
  '--max-length',
  '32',
];
const tuning = [
  'tune',
  '--validation',
  'data.jsonl',
  ...brief,
  '--ratio',
  '1',
  '--vram',
  '1GiB',
  '--threads',
  '1',
];

/** Runs a line of the shell in which `emloc` is the command. */
function shell(line: string): { status: number | null; stdout: string; stderr: string } {
  const text = `emloc() { '${process.execPath}' '${command}' "$@"; }; ${line}`;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', text], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

const quoted = (args: readonly string[]): string => args.map((arg) => `'${arg}'`).join(' ');

describe('output that nobody takes', () => {
  it('of progress lets a job go on to its end', async () => {
    const { stdout } = shell(`{ emloc ${quoted(tuning)} --out quiet; echo $? >code; } 2>&1 | true`);
    expect(stdout).toBe('');
    expect((await readFile(join(folder, 'code'), 'utf8')).trim()).toBe('1');
    expect(existsSync(join(folder, 'quiet/adapter_model.safetensors'))).toBe(true);
    expect(existsSync(join(folder, '.quiet.lock'))).toBe(false);
  });

  const hasFull = existsSync('/dev/full') ? it : it.skip;
  hasFull('of a result is an error with a code', () => {
    for (const args of ['--version', `data data.jsonl --model '${model}'`]) {
      const { status, stderr } = shell(`emloc ${args} >/dev/full`);
      expect({ args, status }).toEqual({ args, status: 1 });
      expect(stderr).toMatch(/^error: CLI_OUTPUT_FAILED: .*ENOSPC/m);
      expect(stderr).not.toContain('    at ');
    }
    expect(shell('emloc frobnicate 2>/dev/full').status).toBe(2);
  });

  it('stops work whose result is lines', async () => {
    const child = spawn(
      process.execPath,
      [command, 'data', 'data.jsonl', '--model', model, '--json'],
      { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(1);
    expect(stderr).toMatch(/CLI_OUTPUT_FAILED: .*EPIPE/);
  });
});

const emloc = useResidentEmloc();

it('ends with 2 where it was called wrongly, and names what is wrong', async () => {
  const calls: readonly (readonly [readonly string[], RegExp])[] = [
    [['frobnicate'], /frobnicate/],
    [[], /Usage/],
    [['plan', ...input, '--frob'], /--frob/],
    [['plan', ...input, '--rank'], /--rank/],
    [['plan', ...input, '--rank', 'many'], /--rank.*many/],
    [['plan', ...input, '--rank', '0'], /option rank \(--rank\): 0 given/],
    [['tune', ...input, '--out', ''], /--out/],
  ];
  const runs = await Promise.all(
    calls.map(async ([args, message]) => ({
      args,
      message,
      run: await emloc(args, { folder }),
    })),
  );
  for (const { args, message, run } of runs)
    expect({ args, ...run }).toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
});

it('ends with 1 for a value that only this model does not take', async () => {
  const run = await emloc(['plan', ...input, '--max-length', '99999999'], { folder });
  expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('maxLength') });
});

/** Mounting is for root, and not in every container even then. */
const canMount =
  spawnSync('sh', ['-c', "unshare -m sh -c 'mount -t tmpfs none /mnt'"], { stdio: 'ignore' })
    .status === 0;

(canMount ? describe : describe.skip)('a volume', () => {
  const inNamespace = (line: string): ReturnType<typeof shell> => {
    const mounted = `mkdir -p vol; mount -t tmpfs -o size=16m none vol; ${line}`;
    return shell(`unshare -m sh -c "$(cat <<'END'
      emloc() { '${process.execPath}' '${command}' "$@"; }; ${mounted}
END
    )"`);
  };

  it('is written at its root; full, it is left as it was before any work', async () => {
    const { stdout, stderr } = inNamespace(
      `emloc ${quoted(tuning)} --out vol && cp vol/emloc.json before && echo mine >vol/notes &&
       head -c 16m /dev/zero >vol/fill 2>/dev/null
       emloc ${quoted(tuning)} --out vol --resume; truncate -s -64k vol/fill
       emloc ${quoted(tuning)} --seed 1 --out vol --overwrite; echo code $?
       cmp vol/emloc.json before && ls -A vol`,
    );
    const names = [
      'README.md',
      'adapter_config.json',
      'adapter_model.safetensors',
      'emloc.json',
      'fill',
    ];
    const reported = ['report.html', 'run.json'];
    expect(stdout.trimEnd().split('\n').slice(-12)).toEqual([
      expect.stringMatching(/^job \w+ is done: /),
      'code 1',
      ...names,
      'log.jsonl',
      'notes',
      ...reported,
      'uncorrected',
    ]);
    expect(stderr).toMatch(/^error: PIPELINE_DISK_FULL: /m);
    expect(stderr.split('train: started')).toHaveLength(2);
    expect(await readdir(join(folder, 'vol'))).toEqual([]);
  });
});
