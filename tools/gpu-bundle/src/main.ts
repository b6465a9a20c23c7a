import process from 'node:process';
import { parseArgs } from 'node:util';
import { Device, formatBytes, MemoryBudget } from '@emloc/device';
import { conformanceCases, runConformanceCase } from '@emloc/device-conformance';
import { createCudaBackend, cudaOrdinal, describeCuda, type CudaBackend } from '@emloc/device-cuda';

import { attentionChecks } from './attention-checks.js';
import type { Measurement } from './bench-lab.js';
import { benchmarkCopies, benchmarkFactorizations } from './bench-transfers.js';
import { benchmarkKernels } from './bench.js';
import { deltaChecks } from './delta-checks.js';
import { kernelChecks } from './kernel-checks.js';
import { Lab, type Check } from './lab.js';
import { checkMemory } from './memory-checks.js';

const usage = `usage: gpu-bundle info | check | bench | all [--device cuda:1] [--only PATTERN] [--no-wgmma]
  info   what was found of CUDA, as JSON
  check  the conformance suite, every kernel against references in double precision, memory and streams
  bench  rates of kernels, copies and factorisations
  --only runs the checks whose names match the regular expression (those of memory are one of that name); of bench the groups gemm, attention, delta,
         elementwise and optimizer, without copies and factorisations
  --no-wgmma keeps attention on a Hopper card from the kernels for it`;

interface Options {
  readonly ordinal: number;
  readonly only: RegExp | null;
  readonly useWgmma: boolean;
}

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'cuda' },
      only: { type: 'string' },
      'no-wgmma': { type: 'boolean', default: false },
    },
  });
  const command = positionals.at(0) ?? 'all';
  const ordinal = cudaOrdinal(values.device);
  if (command === 'info') return info();
  if (!['check', 'bench', 'all'].includes(command) || ordinal === null) {
    console.error(usage);
    return 2;
  }
  const options: Options = {
    ordinal,
    only: values.only ? new RegExp(values.only) : null,
    useWgmma: !values['no-wgmma'],
  };
  const failures = command === 'bench' ? 0 : await check(options);
  if (command !== 'check') await bench(options);
  return failures === 0 ? 0 : 1;
}

function info(): number {
  const description = describeCuda();
  console.log(JSON.stringify(description, null, 2));
  return description.available ? 0 : 1;
}

async function check({ ordinal, only, useWgmma }: Options): Promise<number> {
  const backend = createCudaBackend({ ordinal, useWgmma });
  const checks = [...conformance(backend), ...own(backend)].filter(
    ({ name }) => !only || only.test(name),
  );
  printMemory('opened', backend);
  let failures = 0;
  for (const { name, run } of checks) failures += await runCheck(name, run);
  printMemory('after all kernels', backend);
  await backend.close();
  const withMemory = !only || only.test('memory');
  if (withMemory)
    failures += await runCheck('memory', async () => {
      for (const line of await checkMemory(ordinal)) console.log(`      ${line}`);
    });
  console.log(`${checks.length + (withMemory ? 1 : 0)} checks, ${failures} failed`);
  return failures;
}

interface NamedRun {
  readonly name: string;
  run(): Promise<void>;
}

function conformance(backend: CudaBackend): readonly NamedRun[] {
  return conformanceCases().map((one) => ({
    name: `conformance: ${one.group}: ${one.name}`,
    run: () => runConformanceCase(backend, one),
  }));
}

/** Each check with random numbers of its own. */
function own(backend: CudaBackend): readonly NamedRun[] {
  return [...kernelChecks(), ...attentionChecks(), ...deltaChecks()].map((one: Check, index) => ({
    name: one.name,
    run: async () => {
      const lab = new Lab(
        new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY)),
        (index + 1) * 7919,
      );
      try {
        await one.run(lab);
      } finally {
        lab.dispose();
      }
    },
  }));
}

async function runCheck(name: string, run: () => Promise<void>): Promise<number> {
  const start = performance.now();
  try {
    await run();
    console.log(`ok    ${name} (${(performance.now() - start).toFixed(0)} ms)`);
    return 0;
  } catch (error) {
    console.log(`FAIL  ${name}: ${(error as Error).message}`);
    return 1;
  }
}

async function bench({ ordinal, only, useWgmma }: Options): Promise<void> {
  const backend = createCudaBackend({ ordinal, useWgmma });
  const device = new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
  console.log(`${backend.card.name}, ${backend.card.multiprocessors} multiprocessors`);
  const report = ({ name, ms, rate, unit }: Measurement) =>
    console.log(
      `${name.padEnd(58)} ${ms.toFixed(3).padStart(9)} ms ${rate.toFixed(1).padStart(9)} ${unit}`,
    );
  await benchmarkKernels(device, report, only);
  if (!only) {
    await benchmarkCopies(device, report);
    await benchmarkFactorizations(device, report);
  }
  printMemory('after benchmarks', backend);
  await device.close();
}

function printMemory(when: string, backend: CudaBackend): void {
  const { ownBytes, arenaBytes, usedBytes, overhead } = backend.measureMemory();
  const own = ownBytes ?? usedBytes;
  console.log(
    `${when}: ${formatBytes(own)} on the card, ${formatBytes(own - arenaBytes)} of it beside the arena (reserve ${formatBytes(backend.profile.reserveBytes)})`,
  );
  console.log(
    `  ${Object.entries(overhead)
      .map(([part, bytes]) => `${part} ${formatBytes(bytes)}`)
      .join(', ')}`,
  );
}

process.exitCode = await main(process.argv.slice(2));
