import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { programsIn, startLocalDeployment, type LocalDeployment } from '@emloc/local-deployment';
import { connect, type CreateJobOptions } from '@emloc/sdk';

import { serveTable, type ServeResult } from './serve-table.js';

const help = `usage: npm run bench -- serve [--rounds 3] [--builders 1,3] [--steps 160] [--vram-mib 24] [--json]
Fine-tunes examples/models/demo-5m by emloc tune (the whole command) and on a local deployment (from the submission of the job to its
downloaded adapter), in turns, and compares the times and the bytes. Needs nats-server on PATH.
`;

type JobOptions = CreateJobOptions['options'];

interface ServeBench {
  readonly options: JobOptions;
  readonly rounds: number;
  readonly dist: string;
  readonly root: string;
  /** Holds the adapters and the deployments' state. */
  readonly folder: string;
}

/** `bench serve` */
export async function measure(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '3' },
      builders: { type: 'string', default: '1,3' },
      steps: { type: 'string', default: '160' },
      'vram-mib': { type: 'string', default: '24' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const dist = join(dirname(fileURLToPath(import.meta.url)), '..');
  const root = join(dist, '..');
  const folder = await mkdtemp(join(tmpdir(), 'emloc-bench-serve-'));
  const options: JobOptions = {
    model: join(root, 'examples/models/demo-5m'),
    data: join(root, 'examples/data/train.jsonl'),
    vramBytes: Number(values['vram-mib']) * 2 ** 20,
    steps: Number(values.steps),
    learningRate: 3e-3,
    maxLength: 128,
  };
  try {
    const results: ServeResult[] = [];
    for (const replicas of values.builders.split(',').map(Number))
      results.push(
        await compare({ options, rounds: Number(values.rounds), dist, root, folder }, replicas),
      );
    process.stdout.write(
      values.json
        ? `${JSON.stringify(results)}\n`
        : `${cpus().length} cores, ${cpus().at(0)?.model ?? 'unknown'}, ${process.version}\n${serveTable(results)}`,
    );
    return results.every(({ identical }) => identical) ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function compare(bench: ServeBench, replicas: number): Promise<ServeResult> {
  const { dist, root, folder } = bench;
  const result: ServeResult = { replicas, tuneSeconds: [], serveSeconds: [], identical: true };
  const deployment = await startLocalDeployment({
    program: programsIn(dist),
    stateDir: join(folder, `state-${replicas}`),
    port: 0,
    replicas: { 'emulator-builder': replicas },
    flags: (service) =>
      service === 'coordinator' ? ['--model-roots', root, '--data-roots', root] : [],
  });
  try {
    for (let round = 0; round < bench.rounds; round++) await measurePair(bench, deployment, result);
  } finally {
    await deployment.stop();
  }
  return result;
}

async function measurePair(
  bench: ServeBench,
  deployment: LocalDeployment,
  result: ServeResult,
): Promise<void> {
  const [tuned, served] = [join(bench.folder, 'tuned'), join(bench.folder, 'served')];
  const tuneSeconds = await timed(() => tune(bench, tuned));
  const serveSeconds = await timed(() => serve(bench, deployment, served));
  result.tuneSeconds.push(tuneSeconds);
  result.serveSeconds.push(serveSeconds);
  for (const name of ['adapter_model.safetensors', 'adapter_config.json']) {
    result.identical &&= (await readFile(join(tuned, name))).equals(
      await readFile(join(served, name)),
    );
  }
  process.stderr.write(
    `${result.replicas} builders: tune ${tuneSeconds.toFixed(1)} s, serve ${serveSeconds.toFixed(1)} s\n`,
  );
  for (const folder of [tuned, served]) await rm(folder, { recursive: true, force: true });
}

async function timed(run: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await run();
  return (performance.now() - startMs) / 1000;
}

function tune({ options, dist }: ServeBench, out: string): Promise<void> {
  const flags = {
    model: options.model,
    data: options.data,
    vram: options.vramBytes,
    steps: options.steps,
    lr: options.learningRate,
    'max-length': options.maxLength,
    out,
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [join(dist, 'emloc', 'emloc.mjs'), 'tune', ...args, '--json'],
      { stdio: 'ignore' },
    );
    child.once('error', reject).once('close', (code) =>
      // 3: done, though the model got no better.
      code === 0 || code === 3 ? resolve() : reject(new Error(`emloc tune ended with ${code}`)),
    );
  });
}

async function serve(
  { options }: ServeBench,
  deployment: LocalDeployment,
  out: string,
): Promise<void> {
  const client = connect({ address: deployment.endpoint });
  try {
    const { name } = await client.createJob({ options });
    await client.waitForJob(name);
    await client.downloadJob(name, out);
  } finally {
    client.close();
  }
}
