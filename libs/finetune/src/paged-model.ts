import type { Device, Tensor } from '@emloc/device';
import { ropeTables, type ModelLayout } from '@emloc/models';
import type { Pager } from '@emloc/weight-pager';

/** A model whose units come and go through a pager: the original, or an emulator of it. */
export interface PagedModel {
  readonly device: Device;
  readonly layout: ModelLayout;
  readonly pager: Pager;
  /**
   * Rank of a linear layer that is kept as factors: beyond it their tensors hold zeros. Null where
   * it is not known; absent: nowhere known.
   */
  rankOf?(block: number, linear: string): number | null;
}

/** What every block of a pass shares. */
export interface PassContext {
  readonly rope: { readonly cos: Tensor; readonly sin: Tensor };
  close(): void;
}

/** Puts the rotary tables for sequences of up to `maxLength` tokens on the device. */
export function openPass({ device, layout }: PagedModel, maxLength: number): PassContext {
  const tables = ropeTables(layout.rope, maxLength);
  const shape = [maxLength, layout.rope.headDim / 2];
  const upload = (values: Float32Array, label: string): Tensor =>
    device.tensor(
      { bytes: bytesOf(values), dtype: 'float32' },
      shape,
      'float32',
      'activations',
      label,
    );
  const cos = upload(tables.cos, 'rope.cos');
  try {
    const sin = upload(tables.sin, 'rope.sin');
    return {
      rope: { cos, sin },
      close: () => {
        cos.dispose();
        sin.dispose();
      },
    };
  } catch (error) {
    cos.dispose();
    throw error;
  }
}

/**
 * Units in the order that one micro-batch of training asks for them, down to the lowest block that
 * is trained.
 */
export function trainingOrder(layout: ModelLayout, lowestBlock: number): readonly number[] {
  const blocks = Array.from({ length: layout.blockCount }, (_, block) => layout.blockUnit(block));
  return [layout.embedUnit, ...blocks, layout.headUnit, ...blocks.slice(lowestBlock).reverse()];
}

/** Units in the order of one forward pass. */
export function inferenceOrder(layout: ModelLayout, withHead: boolean): readonly number[] {
  const blocks = Array.from({ length: layout.blockCount }, (_, block) => layout.blockUnit(block));
  return [layout.embedUnit, ...blocks, ...(withHead ? [layout.headUnit] : [])];
}

/** The memory of a typed array as bytes. */
export function bytesOf(values: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
