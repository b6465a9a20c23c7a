import { at, get } from '@emloc/checked';
import type { Tensor } from '@emloc/device';
import { sliceSource } from '@emloc/models';

import type { EmulatedLinear } from '../job/emulated-linear.js';
import { openLinearPager } from '../job/environment.js';
import type { JobRun } from '../job/job-run.js';
import { weightSlice } from './weight-slice.js';

/** The weights of some linears of one block, to be asked for one after another. */
export interface LinearWeights extends AsyncDisposable {
  /** (out, in), until it is disposed. @param index of the linear among them; each in its turn */
  acquire(index: number): Promise<HeldWeight>;
}

interface HeldWeight extends Disposable {
  readonly weight: Tensor;
}

/** Where the block's tensors, by name, are on the device meanwhile. */
export function weightsAmong(
  tensors: ReadonlyMap<string, Tensor>,
  linears: readonly EmulatedLinear[],
): LinearWeights {
  return {
    acquire: (index) =>
      Promise.resolve({
        weight: get(tensors, weightName(at(linears, index))),
        [Symbol.dispose]: () => undefined,
      }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Where they are not: brings one at a time, and the next one meanwhile. */
export function pagedWeights(
  { job, environment }: JobRun,
  linears: readonly EmulatedLinear[],
): LinearWeights {
  const slices = linears.map((linear) => weightSlice(job, linear));
  const pager = openLinearPager(environment, sliceSource(job.model.source, slices));
  pager.schedule(linears.map((_, index) => index));
  return {
    acquire: async (index) => {
      const { tensors, release } = await pager.acquire(index);
      const weight = get(tensors, weightName(at(linears, index)));
      return { weight, [Symbol.dispose]: release };
    },
    [Symbol.asyncDispose]: () => pager.close(),
  };
}

function weightName({ name }: EmulatedLinear): string {
  return `${name}.weight`;
}
