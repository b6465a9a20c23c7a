import {
  packTriangle,
  unpackTriangle,
  type GradientStatistic,
  type LayerStatistic,
  type StatisticValues,
} from '@emloc/emulator';

import type { BlockStatistics } from '../stages/calibrate.js';
import { hasFields, RecordReader, type TensorRecord } from './tensor-record.js';

/**
 * A statistic without its values. Its sum of squares is text: it may be one that JSON has no number
 * for.
 */
interface Header {
  readonly features: number;
  readonly dtype: 'float32' | 'float64';
  readonly squaredNorm: string;
}

type StatisticHeader = Header & Pick<LayerStatistic, 'kind' | 'linears' | 'inFeatures'>;
type GradientHeader = Header & Pick<GradientStatistic, 'kind' | 'linear' | 'outFeatures'>;

interface StatisticsHeader {
  readonly block: number;
  readonly label: string;
  readonly statistics: readonly StatisticHeader[];
  /** Empty where none were measured. */
  readonly gradients: readonly GradientHeader[];
}

/** What both kinds of statistics have. */
type Measured = Pick<LayerStatistic, 'features' | 'matrix' | 'squaredNorm'>;

/**
 * Tensors `statistic.INDEX` and `gradient.INDEX`: upper triangles, row after row
 * (features (features + 1) / 2), in the dtype of their accumulation.
 */
export function statisticsToRecord({
  block,
  statistics: { label, statistics, gradients },
}: BlockStatistics): TensorRecord {
  const header: StatisticsHeader = {
    ...{ block, label },
    statistics: statistics.map((statistic) => ({
      kind: statistic.kind,
      linears: statistic.linears,
      inFeatures: statistic.inFeatures,
      ...headerOf(statistic),
    })),
    gradients: gradients.map((gradient) => ({
      kind: gradient.kind,
      linear: gradient.linear,
      outFeatures: gradient.outFeatures,
      ...headerOf(gradient),
    })),
  };
  const tensors = [
    ...statistics.map((statistic, index) => triangleOf(`statistic.${index}`, statistic)),
    ...gradients.map((gradient, index) => triangleOf(`gradient.${index}`, gradient)),
  ];
  return { tensors, attributes: { statistics: JSON.stringify(header) } };
}

/** @throws PipelineError PIPELINE_RECORD_INVALID */
export function statisticsFromRecord(record: TensorRecord): BlockStatistics {
  const reader = new RecordReader(record, 'statistics');
  const header = reader.json('statistics', isHeader);
  const statistics = header.statistics.map(
    ({ kind, linears, inFeatures, ...rest }, index): LayerStatistic => {
      return { kind, linears, inFeatures, ...measuredIn(reader, `statistic.${index}`, rest) };
    },
  );
  const gradients = header.gradients.map(
    ({ kind, linear, outFeatures, ...rest }, index): GradientStatistic => {
      return { kind, linear, outFeatures, ...measuredIn(reader, `gradient.${index}`, rest) };
    },
  );
  return { block: header.block, statistics: { label: header.label, statistics, gradients } };
}

function headerOf({ features, matrix, squaredNorm }: Measured): Header {
  return { features, dtype: dtypeOf(matrix), squaredNorm: String(squaredNorm) };
}

function triangleOf(name: string, { matrix, features }: Measured): TensorRecord['tensors'][number] {
  const packed: StatisticValues = packTriangle(matrix, features);
  const bytes = new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength);
  return { name, dtype: dtypeOf(matrix), shape: [packed.length], bytes };
}

function measuredIn(
  reader: RecordReader,
  name: string,
  { features, dtype, squaredNorm }: Header,
): Measured {
  const shape = [(features * (features + 1)) / 2];
  const packed: StatisticValues =
    dtype === 'float32' ? reader.float32(name, shape) : reader.float64(name, shape);
  return {
    features,
    matrix: unpackTriangle(packed, features),
    squaredNorm: Number(squaredNorm),
  };
}

function dtypeOf(values: StatisticValues): 'float32' | 'float64' {
  return values instanceof Float64Array ? 'float64' : 'float32';
}

function isHeader(value: unknown): value is StatisticsHeader {
  if (!hasFields(value, { block: 'number', label: 'string' })) return false;
  const { statistics, gradients } = value;
  return (
    Array.isArray(statistics) &&
    statistics.every(isStatisticHeader) &&
    Array.isArray(gradients) &&
    gradients.every(isGradientHeader)
  );
}

function isStatisticHeader(value: unknown): boolean {
  if (!isMeasured(value) || !hasFields(value, { inFeatures: 'number' })) return false;
  const { linears } = value;
  return Array.isArray(linears) && linears.every((name) => typeof name === 'string');
}

function isGradientHeader(value: unknown): boolean {
  return isMeasured(value) && hasFields(value, { linear: 'string', outFeatures: 'number' });
}

function isMeasured(value: unknown): boolean {
  if (
    !hasFields(value, {
      kind: 'string',
      features: 'number',
      dtype: 'string',
      squaredNorm: 'string',
    })
  )
    return false;
  const { kind, dtype, features } = value;
  return (
    (kind === 'input' || kind === 'output') &&
    (dtype === 'float32' || dtype === 'float64') &&
    Number.isSafeInteger(features)
  );
}
