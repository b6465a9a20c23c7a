import type { DeviceProfile } from '@emloc/device';
import { emulatorRank, parseRatioRules, ratioOf } from '@emloc/emulator';
import type { Model, ModelLinear } from '@emloc/models';

import type { TuneOptions } from '../options/resolve.js';

/** A linear layer that the emulator replaces by factors of this rank. */
export interface EmulatedLinear extends ModelLinear {
  readonly ratio: number;
  readonly rank: number;
}

/** Rank in which a device stores factors of this mathematical rank. */
export function paddedRank(rank: number, { rankMultiple }: DeviceProfile): number {
  return Math.ceil(rank / rankMultiple) * rankMultiple;
}

/** The linears that the emulator has as factors: those whose ratio is below 1. */
export function emulatedLinears({ layout }: Model, options: TuneOptions): EmulatedLinear[] {
  const rules = parseRatioRules(options.ratios);
  return layout.linears.flatMap((linear) => {
    const { inFeatures, outFeatures } = linear;
    const ratio = ratioOf(rules, linear);
    if (ratio >= 1) return [];
    return [{ ...linear, ratio, rank: emulatorRank(ratio, inFeatures, outFeatures) }];
  });
}
