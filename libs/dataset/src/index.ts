export { batchSchedule } from './batch-schedule.js';
export type { EncodedRow } from './encoded-row.js';
export { type DatasetReport, loadDataset } from './load-dataset.js';
export { packBatch, type PackedBatch } from './pack-batch.js';
export { createRandom } from './random.js';
export { type RowScan, scanRows } from './scan-rows.js';
export { heldOutCount, sampleCalibration, splitValidation } from './split.js';
export { type ChatTokenizer, loadTokenizer } from './tokenizer.js';
