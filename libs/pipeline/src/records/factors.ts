import { at } from '@emloc/checked';
import type { DeviceProfile } from '@emloc/device';

import type { EmulatedLayerReport } from '../job/emulated-layer-report.js';
import type { EmulatedLinear } from '../job/emulated-linear.js';
import { factorSpecs, type BlockFactors } from '../job/factor-store.js';
import { hasFields, RecordReader, type RecordTensor, type TensorRecord } from './tensor-record.js';

interface FactorsHeader {
  readonly block: number;
  readonly reports: readonly EmulatedLayerReport[];
}

/**
 * Tensors U and V of each layer of a block, named within it, in the compute dtype of the device
 * that they were made for.
 */
export function factorsToRecord(
  { block, factors, reports }: BlockFactors,
  profile: DeviceProfile,
): TensorRecord {
  const tensors = factors.flatMap(({ linear, u, v }): RecordTensor[] => {
    const [uSpec, vSpec] = factorSpecs(linear, profile);
    return [
      { ...uSpec, dtype: profile.computeDType, bytes: u },
      { ...vSpec, dtype: profile.computeDType, bytes: v },
    ];
  });
  const header: FactorsHeader = { block, reports };
  return { tensors, attributes: { factors: JSON.stringify(header) } };
}

/**
 * @param emulated of the job
 * @throws PipelineError PIPELINE_RECORD_INVALID where the record is not a whole block of the job
 * for such a device
 */
export function factorsFromRecord(
  record: TensorRecord,
  { emulated, profile }: { emulated: readonly EmulatedLinear[]; profile: DeviceProfile },
): BlockFactors {
  const reader = new RecordReader(record, 'factors');
  const { block, reports } = reader.json('factors', isHeader);
  const inBlock = emulated.filter((linear) => linear.block === block);
  if (
    inBlock.length === 0 ||
    inBlock.length !== reports.length ||
    inBlock.some(({ path }, index) => path !== at(reports, index).name)
  ) {
    throw reader.invalid(
      `block ${block} has reports of ${reports.length} layers, which are not the job's ${inBlock.length}`,
    );
  }
  const factors = inBlock.map((linear) => {
    const [u, v] = factorSpecs(linear, profile);
    return {
      linear,
      u: reader.bytes(u.name, profile.computeDType, u.shape),
      v: reader.bytes(v.name, profile.computeDType, v.shape),
    };
  });
  return { block, factors, reports };
}

function isHeader(value: unknown): value is FactorsHeader {
  if (!hasFields(value, { block: 'number' })) return false;
  const { reports } = value;
  const fields = {
    name: 'string',
    ratio: 'number',
    rank: 'number',
    relativeError: 'number',
    solver: 'string',
    usedFallback: 'boolean',
  } as const;
  return Array.isArray(reports) && reports.every((report) => hasFields(report, fields));
}
