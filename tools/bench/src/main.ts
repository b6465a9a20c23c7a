import process from 'node:process';

import { formatHelp, type Measurement } from './measurement.js';

/** Every subcommand, one file each; loaded when it is asked for. */
const measurements: Readonly<
  Record<string, { readonly summary: string; load(): Promise<{ readonly measure: Measurement }> }>
> = {
  bus: {
    summary: 'the store of tensors against a raw TCP socket and gRPC',
    load: () => import('./bus.js'),
  },
  cpu: {
    summary: 'the portable code of the CPU device against the BLAS, a thread each',
    load: () => import('./cpu.js'),
  },
  factors: {
    summary: 'factors of a layer, exact and fast: seconds and errors, or what there is to do',
    load: () => import('./factors.js'),
  },
  gpu: {
    summary: 'training and factorising at the shape of a 7.6 B model on a card, beside PyTorch',
    load: () => import('./gpu.js'),
  },
  model: {
    summary: 'writes a checkpoint of random weights in the shape of a known model',
    load: () => import('./model.js'),
  },
  quality: {
    summary: "share of full LoRA's gain that EMLoC reaches on the example task",
    load: () => import('./quality.js'),
  },
  robustness: {
    summary: 'leaks, refused allocations, and what a job takes on a card',
    load: () => import('./robustness.js'),
  },
  serve: {
    summary: 'the example job on a local deployment against emloc tune',
    load: () => import('./serve.js'),
  },
  stream: {
    summary:
      'moving layers: forward passes and training steps of a model that is not on the device',
    load: () => import('./stream.js'),
  },
};

const args = process.argv.slice(2);
const name = args.shift() ?? '';
const chosen = Object.hasOwn(measurements, name) ? measurements[name] : undefined;
if (chosen) {
  process.exitCode = await (await chosen.load()).measure(args);
} else {
  process.stderr.write(formatHelp(measurements));
  process.exitCode = name === '--help' ? 0 : 2;
}
