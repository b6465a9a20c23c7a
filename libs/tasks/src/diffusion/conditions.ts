import { at } from '@emloc/checked';
import type { HostArray } from '@emloc/device';
import {
  diffusionRows,
  diffusionStreams,
  encoderStreams,
  noiseFeatures,
  type Batch,
  type BatchShape,
  type DiffusionLimits,
  type RowSource,
  type ValueShape,
} from '@emloc/models';

import { float32Array, membersAt, readStreams, type KeptStreams } from './kept-streams.js';

/** What a transformer's modulation depends on, and nothing else does. */
export interface Condition {
  /** σ, 1 for pure noise. */
  readonly noiseLevel: number;
  /** null: the model takes none. */
  readonly guidance: number | null;
  /** Number of the caption. */
  readonly caption: number;
}

/** Brings a row a sample to a transformer. */
export interface Conditioning {
  readonly streams: ReadonlyMap<string, ValueShape>;
  /** (conditions, width) of a stream */
  read(conditions: readonly Condition[], stream: string): Promise<HostArray>;
}

type ConditionLimits = Pick<DiffusionLimits, 'featureWidth' | 'pooledWidth' | 'hasGuidance'>;

/**
 * What the transformer's own beginning makes modulation of.
 * @param captions what the text encoder made of each caption, by its number
 */
export function givenConditioning(limits: ConditionLimits, captions: KeptStreams): Conditioning {
  const { noiseLevel, guidance, pooled } = diffusionStreams;
  const value = (width: number): ValueShape => ({ rows: diffusionRows.samples, width });
  const features = (values: readonly number[]): Promise<HostArray> =>
    Promise.resolve(float32Array(values.map((each) => noiseFeatures(limits, each))));
  return {
    streams: new Map([
      [noiseLevel, value(limits.featureWidth)],
      ...(limits.hasGuidance ? [[guidance, value(limits.featureWidth)] as const] : []),
      [pooled, value(limits.pooledWidth)],
    ]),
    read(conditions, stream) {
      if (stream === noiseLevel) return features(conditions.map((each) => each.noiseLevel));
      if (stream === guidance) return features(conditions.map((each) => each.guidance ?? 0));
      const wanted = conditions.map(({ caption }) => caption);
      return readStreams(captions, encoderStreams.pooled, wanted);
    },
  };
}

/**
 * What the beginning has made of each condition of a set.
 * @param streams of the front, as `frontStreams` gives them
 * @param kept by the condition's number
 */
export function keptConditioning(
  set: ConditionSet,
  streams: ReadonlyMap<string, ValueShape>,
  kept: KeptStreams,
): Conditioning {
  return {
    streams,
    read: (conditions, stream) =>
      readStreams(
        kept,
        stream,
        conditions.map((each) => set.numberOf(each)),
      ),
  };
}

/** Conditions, each once, numbered as they came. */
export class ConditionSet {
  readonly #all: Condition[] = [];
  readonly #numbers = new Map<string, number>();

  constructor(conditions: Iterable<Condition> = []) {
    for (const condition of conditions) this.add(condition);
  }

  get count(): number {
    return this.#all.length;
  }

  get members(): readonly Condition[] {
    return this.#all;
  }

  /** @returns its number, the known one where it is there */
  add(condition: Condition): number {
    const known = this.#numbers.get(keyOf(condition));
    if (known !== undefined) return known;
    const { noiseLevel, guidance, caption } = condition;
    this.#numbers.set(keyOf(condition), this.#all.length);
    return this.#all.push({ noiseLevel, guidance, caption }) - 1;
  }

  has(condition: Condition): boolean {
    return this.#numbers.has(keyOf(condition));
  }

  /** @throws RangeError for a condition that is not there */
  numberOf(condition: Condition): number {
    const number = this.#numbers.get(keyOf(condition));
    if (number === undefined)
      throw new RangeError(`conditions: none is ${keyOf(condition)} (level, guidance, caption)`);
    return number;
  }

  of(numbers: readonly number[]): readonly Condition[] {
    return membersAt(this.#all, numbers);
  }
}

function keyOf({ noiseLevel, guidance, caption }: Condition): string {
  return `${noiseLevel} ${guidance} ${caption}`;
}

/** Conditions as rows of the transformer's beginning, each a sample. */
export class ConditionRows implements RowSource {
  constructor(
    private readonly set: ConditionSet,
    private readonly conditioning: Conditioning,
  ) {}

  shape(rows: readonly number[]): BatchShape {
    const offsets = Array.from({ length: rows.length + 1 }, (_, row) => row);
    return {
      layouts: new Map([[diffusionRows.samples, offsets]]),
      integers: new Map(),
      values: this.conditioning.streams,
      lossWeight: 0,
      items: at(offsets, rows.length),
    };
  }

  async load(
    rows: readonly number[],
    isWanted: (stream: string) => boolean = () => true,
  ): Promise<Batch> {
    const values = await conditionValues(this.conditioning, this.set.of(rows), isWanted);
    return { shape: this.shape(rows), integers: new Map(), values };
  }
}

/** Wanted streams of conditions. */
export async function conditionValues(
  conditioning: Conditioning,
  conditions: readonly Condition[],
  isWanted: (stream: string) => boolean,
): Promise<Map<string, HostArray>> {
  const values = new Map<string, HostArray>();
  for (const stream of conditioning.streams.keys())
    if (isWanted(stream)) values.set(stream, await conditioning.read(conditions, stream));
  return values;
}
