import { get } from '@emloc/checked';
import type { HostArray } from '@emloc/device';
import {
  diffusionPlaces,
  diffusionRows,
  diffusionSizes,
  diffusionStreams,
  type Batch,
  type BatchShape,
  type DiffusionLimits,
  type DiffusionSample,
  type RowSource,
  type ValueShape,
} from '@emloc/models';

export interface RandomDrawsOptions {
  readonly limits: DiffusionLimits;
  /** Pixels of a side of the images. */
  readonly size: number;
  /** What the front of the chain makes: batches bring it. */
  readonly front: ReadonlyMap<string, ValueShape>;
  /** Whether the chain ends in its loss. */
  readonly hasTarget: boolean;
}

/**
 * Square images of random latents with random prompts and modulation, made once a batch size: what
 * a step does with them depends on nothing in them.
 */
export class RandomDraws implements RowSource {
  readonly #batches = new Map<number, Batch>();

  constructor(private readonly options: RandomDrawsOptions) {}

  shape(rows: readonly number[]): BatchShape {
    const { limits } = this.options;
    const sample = this.#sample();
    return {
      ...diffusionSizes(
        limits,
        rows.map(() => sample),
      ),
      values: this.#values(),
      lossWeight: rows.length * sample.rows * sample.columns,
      items: rows.length,
    };
  }

  load(rows: readonly number[]): Promise<Batch> {
    const known = this.#batches.get(rows.length) ?? this.#make(rows);
    this.#batches.set(rows.length, known);
    return Promise.resolve(known);
  }

  #make(rows: readonly number[]): Batch {
    const shape = this.shape(rows);
    const sample = this.#sample();
    const places = diffusionPlaces(
      this.options.limits,
      rows.map(() => sample),
    );
    const values = [...shape.values].map(([stream, { rows: layout, width, dtype }]) => {
      const count = get(shape.layouts, layout).at(-1) ?? 0;
      return [stream, dtype ? ones(count * width) : uniform(count * width)] as const;
    });
    return { shape, ...places, values: new Map(values) };
  }

  #sample(): DiffusionSample {
    const { limits, size } = this.options;
    const side = size / limits.pixelsPerLatent / limits.patch;
    return { promptTokens: limits.promptTokens, rows: side, columns: side };
  }

  #values(): ReadonlyMap<string, ValueShape> {
    const { limits, front, hasTarget } = this.options;
    const latents = {
      rows: diffusionRows.latents,
      width: limits.latentChannels * limits.patch ** 2,
    };
    const weight = { rows: diffusionRows.latents, width: 1, dtype: 'float32' } as const;
    return new Map<string, ValueShape>([
      [diffusionStreams.latents, latents],
      ...(hasTarget
        ? [[diffusionStreams.target, latents] as const, [diffusionStreams.weight, weight] as const]
        : []),
      [diffusionStreams.prompt, { rows: diffusionRows.prompt, width: limits.promptWidth }],
      ...front,
    ]);
  }
}

function ones(count: number): HostArray {
  return { bytes: new Uint8Array(new Float32Array(count).fill(1).buffer), dtype: 'float32' };
}

/** Between −1 and 1, in bfloat16. */
function uniform(count: number): HostArray {
  let state = 12_345;
  const values = Uint16Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    // Exponents of 0.25 to 1, and a sign.
    return ((state >>> 31) << 15) | (0x3e80 + ((state >>> 16) & 0xff));
  });
  return { bytes: new Uint8Array(values.buffer), dtype: 'bfloat16' };
}
