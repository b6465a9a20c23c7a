import type { LoraAdapter } from '@emloc/checkpoint';
import type { LayerCorrection } from '@emloc/emulator';

import { float32Tensor, RecordReader, type TensorRecord } from './tensor-record.js';

/**
 * Tensors `PATH.a` (rank, in), `PATH.b` and `PATH.delta` (out, rank), float32, whose bytes are the
 * corrections' own.
 */
export function correctionsToRecord(
  corrections: ReadonlyMap<string, LayerCorrection>,
  { rank }: Pick<LoraAdapter, 'rank'>,
): TensorRecord {
  const tensors = [...corrections].flatMap(([path, { aCorrected, bRotated, delta }]) => [
    float32Tensor(`${path}.a`, [rank, aCorrected.length / rank], aCorrected),
    float32Tensor(`${path}.b`, [bRotated.length / rank, rank], bRotated),
    float32Tensor(`${path}.delta`, [delta.length / rank, rank], delta),
  ]);
  return { tensors, attributes: { paths: JSON.stringify([...corrections.keys()]) } };
}

/** @throws PipelineError PIPELINE_RECORD_INVALID */
export function correctionsFromRecord(
  record: TensorRecord,
  { rank, layers }: Pick<LoraAdapter, 'rank' | 'layers'>,
): ReadonlyMap<string, LayerCorrection> {
  const reader = new RecordReader(record, 'corrections');
  return new Map(
    reader.json('paths', isPaths).map((path) => {
      const layer = layers.get(path);
      if (!layer) throw reader.invalid(`the adapter has no layer ${path}`);
      const { inFeatures, outFeatures } = layer;
      return [
        path,
        {
          aCorrected: reader.float32(`${path}.a`, [rank, inFeatures]),
          bRotated: reader.float32(`${path}.b`, [outFeatures, rank]),
          delta: reader.float32(`${path}.delta`, [outFeatures, rank]),
        },
      ];
    }),
  );
}

function isPaths(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((path) => typeof path === 'string');
}
