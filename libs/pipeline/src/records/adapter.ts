import type { LoraAdapter, LoraLayer } from '@emloc/checkpoint';

import { float32Tensor, hasFields, RecordReader, type TensorRecord } from './tensor-record.js';

type AdapterHeader = Omit<LoraAdapter, 'layers'> & {
  readonly layers: readonly (Pick<LoraLayer, 'inFeatures' | 'outFeatures'> & {
    readonly path: string;
    /** Of DoRA. */
    readonly hasMagnitude?: boolean;
  })[];
};

/** A matrix or a magnitude of an adapter, named within a record. */
export interface AdapterParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/**
 * Tensors `PATH.lora_A` (rank, in), `PATH.lora_B` (out, rank) and, of DoRA, `PATH.magnitude` (out),
 * float32, whose bytes are the adapter's own.
 */
export function adapterToRecord(adapter: LoraAdapter): TensorRecord {
  const { layers, ...numbers } = adapter;
  const header: AdapterHeader = {
    ...numbers,
    layers: [...layers].map(([path, { inFeatures, outFeatures, magnitude }]) => ({
      path,
      inFeatures,
      outFeatures,
      ...(magnitude && { hasMagnitude: true }),
    })),
  };
  return {
    tensors: parametersOf(adapter).map(({ name, shape, values }) =>
      float32Tensor(name, shape, values),
    ),
    attributes: { adapter: JSON.stringify(header) },
  };
}

/** @throws PipelineError PIPELINE_RECORD_INVALID */
export function adapterFromRecord(record: TensorRecord): LoraAdapter {
  const reader = new RecordReader(record, 'adapter');
  const { layers, ...numbers } = reader.json('adapter', isHeader);
  const { rank } = numbers;
  return {
    ...numbers,
    layers: new Map(
      layers.map(({ path, inFeatures, outFeatures, hasMagnitude = false }) => [
        path,
        {
          a: reader.float32(`${path}.lora_A`, [rank, inFeatures]),
          b: reader.float32(`${path}.lora_B`, [outFeatures, rank]),
          ...(hasMagnitude && { magnitude: reader.float32(`${path}.magnitude`, [outFeatures]) }),
          inFeatures,
          outFeatures,
        },
      ]),
    ),
  };
}

/** What is trained of an adapter: A, B and, of DoRA, the magnitude of each layer. */
export function parametersOf({ rank, layers }: LoraAdapter): readonly AdapterParameter[] {
  return [...layers].flatMap(([path, { a, b, magnitude, inFeatures, outFeatures }]) => [
    { name: `${path}.lora_A`, shape: [rank, inFeatures], values: a },
    { name: `${path}.lora_B`, shape: [outFeatures, rank], values: b },
    ...(magnitude ? [{ name: `${path}.magnitude`, shape: [outFeatures], values: magnitude }] : []),
  ]);
}

function isHeader(value: unknown): value is AdapterHeader {
  if (!hasFields(value, { rank: 'number', alpha: 'number', useRslora: 'boolean' })) return false;
  const { targetModules, layers } = value;
  return (
    Array.isArray(targetModules) &&
    targetModules.every((name) => typeof name === 'string') &&
    Array.isArray(layers) &&
    layers.every((layer) =>
      hasFields(layer, { path: 'string', inFeatures: 'number', outFeatures: 'number' }),
    )
  );
}
