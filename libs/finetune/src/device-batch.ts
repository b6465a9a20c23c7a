import { at } from '@emloc/checked';
import type { PackedBatch } from '@emloc/dataset';
import type { Device, SequenceLayout, Tensor } from '@emloc/device';

import { bytesOf } from './paged-model.js';

/** A packed batch with its integers on the device. */
export class DeviceBatch {
  readonly ids: Tensor;
  /** Rows whose next token is a target, int32 (M); `targets` are those tokens. */
  readonly targetRows: Tensor;
  readonly targets: Tensor;
  readonly sequences: SequenceLayout;
  readonly #tensors: Tensor[] = [];

  constructor(
    device: Device,
    readonly host: PackedBatch,
  ) {
    const upload = (values: Int32Array, label: string): Tensor => {
      const tensor = device.tensor(
        { bytes: bytesOf(values), dtype: 'int32' },
        [values.length],
        'int32',
        'activations',
        label,
      );
      this.#tensors.push(tensor);
      return tensor;
    };
    try {
      this.ids = upload(host.ids, 'batch.ids');
      this.targetRows = upload(host.targetRows, 'batch.targetRows');
      this.targets = upload(host.targets, 'batch.targets');
      this.sequences = {
        offsets: host.offsets,
        deviceOffsets: upload(Int32Array.from(host.offsets), 'batch.offsets'),
        positions: upload(host.positions, 'batch.positions'),
        maxLength: longestSequence(host.offsets),
      };
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  get rows(): number {
    return this.host.ids.length;
  }

  get targetCount(): number {
    return this.host.targets.length;
  }

  dispose(): void {
    for (const tensor of this.#tensors.splice(0)) tensor.dispose();
  }
}

/** The longest of the sequences between cumulative offsets. */
export function longestSequence(offsets: readonly number[]): number {
  let longest = 0;
  for (let i = 1; i < offsets.length; i += 1)
    longest = Math.max(longest, at(offsets, i) - at(offsets, i - 1));
  return longest;
}
