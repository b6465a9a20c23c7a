import process from 'node:process';
import { Device, formatBytes, MemoryBudget } from '@emloc/device';
import { createCudaBackend, type CudaBackend, cudaOrdinal, describeCuda } from '@emloc/device-cuda';
import { attentionChecks } from './attention-checks.js';
import { benchmarkCopies, benchmarkFactorizations, benchmarkKernels, type Measurement } from './bench.js';
import { kernelChecks } from './kernel-checks.js';
import { type Check, Lab } from './lab.js';
import { checkMemory } from './memory-checks.js';

const usage = `usage: emloc-gpu info | check | bench | all [--device cuda:1]
  info   what was found of CUDA, as JSON
  check  every kernel against references in double precision, memory and streams
  bench  rates of kernels, copies and factorisations`;

async function main([command = 'all', ...rest]: readonly string[]): Promise<number> {
  const ordinal = cudaOrdinal(rest[rest.indexOf('--device') + 1] ?? 'cuda') ?? 0;
  if (command === 'info') return info();
  if (!['check', 'bench', 'all'].includes(command)) {
    console.error(usage);
    return 2;
  }
  const failures = command === 'bench' ? 0 : await check(ordinal);
  if (command !== 'check') await bench(ordinal);
  return failures === 0 ? 0 : 1;
}

function info(): number {
  const description = describeCuda();
  console.log(JSON.stringify(description, null, 2));
  return description.available ? 0 : 1;
}

async function check(ordinal: number): Promise<number> {
  const backend = createCudaBackend({ ordinal });
  const device = new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
  printMemory('opened', backend);
  let failures = 0;
  const checks = [...kernelChecks(), ...attentionChecks()];
  for (const [index, one] of checks.entries()) failures += await runCheck(device, one, index + 1);
  printMemory('after all kernels', backend);
  await device.close();
  try {
    for (const line of await checkMemory(ordinal)) console.log(`ok    ${line}`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL  memory: ${(error as Error).stack}`);
  }
  console.log(`${checks.length + 1} groups, ${failures} failed`);
  return failures;
}

async function runCheck(device: Device, check: Check, seed: number): Promise<number> {
  const lab = new Lab(device, seed * 7919);
  const start = performance.now();
  try {
    await check.run(lab);
    console.log(`ok    ${check.name} (${(performance.now() - start).toFixed(0)} ms)`);
    return 0;
  } catch (error) {
    console.log(`FAIL  ${check.name}: ${(error as Error).message}`);
    return 1;
  } finally {
    lab.dispose();
  }
}

async function bench(ordinal: number): Promise<void> {
  const backend = createCudaBackend({ ordinal });
  const device = new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
  console.log(`${backend.card.name}, ${backend.card.multiprocessors} multiprocessors`);
  const report = ({ name, ms, rate, unit }: Measurement) => console.log(`${name.padEnd(58)} ${ms.toFixed(3).padStart(9)} ms ${rate.toFixed(1).padStart(9)} ${unit}`);
  await benchmarkKernels(device, report);
  await benchmarkCopies(device, report);
  await benchmarkFactorizations(device, report);
  printMemory('after benchmarks', backend);
  await device.close();
}

function printMemory(when: string, backend: CudaBackend): void {
  const { ownBytes, arenaBytes, usedBytes, overhead } = backend.measureMemory();
  const own = ownBytes ?? usedBytes;
  console.log(`${when}: ${formatBytes(own)} on the card, ${formatBytes(own - arenaBytes)} of it beside the arena (reserve ${formatBytes(backend.profile.reserveBytes)})`);
  console.log(`  ${Object.entries(overhead).map(([part, bytes]) => `${part} ${formatBytes(bytes)}`).join(', ')}`);
}

process.exitCode = await main(process.argv.slice(2));
