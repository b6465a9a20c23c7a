import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scanRows } from '@emloc/dataset';
import type { MethodChoice } from '@emloc/pipeline';

import { maxInspectedBytes, type Engine } from '../src/outcome/engine.js';

/**
 * An engine that looks at rows but computes nothing: files of known contents, and what a test tells
 * it to throw.
 */
export interface FakeEngine extends Engine {
  failure: Error | null;
  readonly outcomes: number;
}

/** What the fake engine decides for `auto`. */
export const fakeChoice: MethodChoice = {
  ...{ asked: 'auto', method: 'emulator', levels: '0.25:4,0.5:2,1:1', why: 'it takes 1 s' },
  inputs: { plainSteps: 3, batch: 8, learningRate: 1e-3, budgetBytes: 2 ** 20, ways: [] },
};

export function fakeEngine(): FakeEngine {
  let outcomes = 0;
  return {
    failure: null,
    get outcomes() {
      return outcomes;
    },
    async inspect({ ratios, data, moreData, validation, ...given }) {
      if (this.failure) throw this.failure;
      const scan = (path: string) => scanRows({ path, maxBytes: maxInspectedBytes, maxMs: 60_000 });
      return {
        isEmulated: ratios.every((ratio) => ratio !== '1'),
        isUndecided: given.method === 'auto',
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
          moreData: await Promise.all(moreData.map(scan)),
          validation: validation === null ? null : await scan(validation),
        },
      };
    },
    plan: async ({ method }) => ({
      plan: {
        fits: true,
        budgetBytes: 2 ** 20,
        neededBytes: 2 ** 19,
        stages: [
          { name: 'train', seconds: 1.5, peakDeviceBytes: 1000, copySeconds: 0, readSeconds: 0 },
        ],
        stepSeconds: null,
        anchors: null,
      },
      choice: method === 'auto' ? fakeChoice : null,
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
