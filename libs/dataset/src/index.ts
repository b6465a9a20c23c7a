export { batchSchedule, type BatchScheduleOptions } from './batch-schedule.js';
export type { ChatMessage, RenderOptions } from './chat-template.js';
export type { EncodedRow } from './encoded-row.js';
export { DatasetError, type DatasetErrorCode, type RowProblem } from './errors.js';
export {
  type Dataset,
  type DatasetReport,
  loadDataset,
  type LoadDatasetOptions,
} from './load-dataset.js';
export { packBatch, type PackedBatch } from './pack-batch.js';
export { createRandom, type Random } from './random.js';
export { type RowScan, scanRows, type ScanRowsOptions } from './scan-rows.js';
export { heldOutCount, sampleCalibration, splitValidation, type ValidationSplit } from './split.js';
export { type ChatTokenizer, loadTokenizer } from './tokenizer.js';
