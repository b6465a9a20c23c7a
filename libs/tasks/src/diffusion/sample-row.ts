import type { RowSource } from '@emloc/models';

import type { Condition } from './conditions.js';
import type { LatentSize } from './latents.js';

/** A row of a source, before its latents are there. */
export interface Sample {
  readonly size: LatentSize;
  readonly condition: Condition;
  /** Factor of its losses. */
  readonly weight: number;
  /** Whether it counts among those that the sum of losses is divided by. */
  readonly isCounted: boolean;
}

/** Rows that are samples. */
export interface SampleSource extends RowSource {
  samples(rows: readonly number[]): readonly Sample[];
}
