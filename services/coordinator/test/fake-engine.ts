import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scanRows } from '@emloc/dataset';

import { maxInspectedBytes, type Engine } from '../src/outcome/engine.js';

/**
 * An engine that looks at rows but computes nothing: files of known contents, and what a test tells
 * it to throw.
 */
export interface FakeEngine extends Engine {
  failure: Error | null;
  readonly outcomes: number;
}

export function fakeEngine(): FakeEngine {
  let outcomes = 0;
  return {
    failure: null,
    get outcomes() {
      return outcomes;
    },
    async inspect({ ratios, data, validation, ...given }) {
      if (this.failure) throw this.failure;
      const scan = (path: string) => scanRows({ path, maxBytes: maxInspectedBytes, maxMs: 60_000 });
      return {
        isEmulated: ratios.some((ratio) => ratio !== '1'),
        decided: {
          rank: given.rank ?? 8,
          batch: given.batch ?? 8,
          gradientAccumulation: given.gradientAccumulation ?? 1,
          schedule: given.schedule ?? 'cosine',
          weightDecay: given.weightDecay ?? 0,
        },
        found: {
          kind: 'text',
          data: await scan(data),
          validation: validation === null ? null : await scan(validation),
        },
      };
    },
    plan: async () => ({
      fits: true,
      budgetBytes: 2 ** 20,
      neededBytes: 2 ** 19,
      stages: [{ name: 'train', seconds: 1.5, peakDeviceBytes: 1000 }],
      stepSeconds: null,
    }),
    async writeOutcome({ options }) {
      outcomes += 1;
      await mkdir(join(options.out, 'uncorrected'), { recursive: true });
      for (const name of [
        'adapter_config.json',
        'emloc.json',
        'uncorrected/adapter_model.safetensors',
      ])
        await writeFile(join(options.out, name), `${name}\n`);
      await writeFile(join(options.out, 'adapter_model.safetensors'), adapterBytes);
      return { budgetBytes: 4096 };
    },
    close: async () => undefined,
  };
}

/** More than two chunks of the object store. */
export const adapterBytes = Buffer.alloc(2_500_000, 'adapter');
