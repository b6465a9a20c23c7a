import { at } from '@emloc/checked';
import type { Device, Tensor } from '@emloc/device';
import type { BatchShape, Block, ModelLayout } from '@emloc/models';

import type { DeviceBatch } from '../device-batch.js';
import type { StreamState } from '../walk.js';

/**
 * The row layout whose sequences a model can go on with.
 * @throws where what looks back does over the rows of none, or of several
 */
export function cachedLayout({ family, blocks }: ModelLayout): string {
  const names = new Set(
    blocks.flatMap(({ program: { caches, states } }) =>
      [...caches, ...states].map(({ rows }) => rows),
    ),
  );
  if (names.size === 1) return at([...names], 0);
  throw new Error(`${family}: rows of ${names.size} layouts go on, one expected`);
}

/** The blocks that a step runs: not those before the loss that give no rows in it. */
export function stepBlocks({ blocks }: ModelLayout, { layouts }: BatchShape): readonly Block[] {
  return blocks.filter(
    ({ program: { outputs } }) =>
      outputs.size === 0 ||
      [...outputs.values()].some(({ rows }) => (layouts.get(rows)?.at(-1) ?? 0) > 0),
  );
}

/** What a block reads: streams that blocks before it or the batch gave; of others no rows. */
export class BlockInputs implements Disposable {
  readonly tensors = new Map<string, Tensor>();
  readonly #empty: Tensor[] = [];

  constructor(
    device: Device,
    { program }: Block,
    { batch, state }: { readonly batch: DeviceBatch; readonly state: StreamState },
  ) {
    for (const [stream, { width }] of program.inputs) {
      const known = state.tensors.get(stream) ?? batch.values.get(stream);
      this.tensors.set(stream, known ?? this.#none(device, width, stream));
    }
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#empty) tensor.dispose();
  }

  #none(device: Device, width: number, stream: string): Tensor {
    const { computeDType } = device.profile;
    const tensor = device.allocate([0, width], computeDType, 'activations', stream);
    this.#empty.push(tensor);
    return tensor;
  }
}
