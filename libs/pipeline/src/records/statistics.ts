import {
  packTriangle,
  unpackTriangle,
  type LayerStatistic,
  type StatisticValues,
} from '@emloc/emulator';

import type { BlockStatistics } from '../stages/emulate.js';
import { hasFields, RecordReader, type TensorRecord } from './tensor-record.js';

/**
 * A statistic without its values. Its sum of squares is text: it may be one that JSON has no number
 * for.
 */
interface StatisticHeader extends Pick<
  LayerStatistic,
  'kind' | 'linears' | 'features' | 'inFeatures'
> {
  readonly dtype: 'float32' | 'float64';
  readonly squaredNorm: string;
}

interface StatisticsHeader {
  readonly block: number;
  readonly label: string;
  readonly statistics: readonly StatisticHeader[];
}

/**
 * Tensors `statistic.INDEX`: upper triangles, row after row (features (features + 1) / 2), in the
 * dtype of their accumulation.
 */
export function statisticsToRecord({
  block,
  statistics: { label, statistics },
}: BlockStatistics): TensorRecord {
  const tensors = statistics.map(({ matrix, features }, index) => {
    const packed: StatisticValues = packTriangle(matrix, features);
    const bytes = new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength);
    return { name: `statistic.${index}`, dtype: dtypeOf(matrix), shape: [packed.length], bytes };
  });
  const header: StatisticsHeader = {
    block,
    label,
    statistics: statistics.map(({ matrix, squaredNorm, kind, linears, features, inFeatures }) => ({
      kind,
      linears,
      features,
      inFeatures,
      dtype: dtypeOf(matrix),
      squaredNorm: String(squaredNorm),
    })),
  };
  return { tensors, attributes: { statistics: JSON.stringify(header) } };
}

/** @throws PipelineError PIPELINE_RECORD_INVALID */
export function statisticsFromRecord(record: TensorRecord): BlockStatistics {
  const reader = new RecordReader(record, 'statistics');
  const { block, label, statistics } = reader.json('statistics', isHeader);
  return {
    block,
    statistics: {
      label,
      statistics: statistics.map(
        ({ dtype, squaredNorm, kind, linears, features, inFeatures }, index) => {
          const shape = [(features * (features + 1)) / 2];
          const packed: StatisticValues =
            dtype === 'float32'
              ? reader.float32(`statistic.${index}`, shape)
              : reader.float64(`statistic.${index}`, shape);
          return {
            kind,
            linears,
            features,
            inFeatures,
            matrix: unpackTriangle(packed, features),
            squaredNorm: Number(squaredNorm),
          };
        },
      ),
    },
  };
}

function dtypeOf(values: StatisticValues): 'float32' | 'float64' {
  return values instanceof Float64Array ? 'float64' : 'float32';
}

function isHeader(value: unknown): value is StatisticsHeader {
  if (!hasFields(value, { block: 'number', label: 'string' })) return false;
  const { statistics } = value;
  return Array.isArray(statistics) && statistics.every(isStatisticHeader);
}

function isStatisticHeader(value: unknown): value is StatisticHeader {
  if (
    !hasFields(value, {
      kind: 'string',
      features: 'number',
      inFeatures: 'number',
      dtype: 'string',
      squaredNorm: 'string',
    })
  )
    return false;
  const { kind, dtype, linears, features } = value;
  return (
    (kind === 'input' || kind === 'output') &&
    (dtype === 'float32' || dtype === 'float64') &&
    Number.isSafeInteger(features) &&
    Array.isArray(linears) &&
    linears.every((name) => typeof name === 'string')
  );
}
