export { batchSchedule } from './batch-schedule.js';
export type { BatchSize } from './batches.js';
export {
  openDatasetSession,
  type DatasetSession,
  type OpenDatasetSession,
  type TextDescription,
  type TextSource,
} from './dataset-session.js';
export type { EncodedRow, RowImage } from './encoded-row.js';
export { DatasetError, describeProblem, problemWords, type RowProblem } from './errors.js';
export { assertNoTextLost, loadDataset, type Dataset } from './load-dataset.js';
export {
  answerEndIds,
  encodeConversation,
  encodePrompt,
  encodeText,
  type AskedConversation,
  type EncodedPrompt,
} from './masks/encode-prompt.js';
export { drawnRows, mixRows, type Mixture, type WeightedRows } from './mixture.js';
export { fillNormal, normalQuantile } from './normal.js';
export { packBatch, type PackedBatch } from './pack-batch.js';
export { describePictures } from './pictures/describe-pictures.js';
export { leadsToPictures, pictureFiles } from './pictures/picture-files.js';
export { defaultSizes, type PictureOptions } from './pictures/picture-options.js';
export { pictureWarnings, type PictureReport } from './pictures/picture-report.js';
export type { PictureRow } from './pictures/picture-row.js';
export { readPictures, type Pictures } from './pictures/read-pictures.js';
export { createRandom, type Random } from './random.js';
export { openPromptTokenizers } from './prompts/prompt-tokenizers.js';
export type { DatasetReport } from './rows/dataset-report.js';
export { mergedReport } from './rows/merged-report.js';
export type { DatasetSummary, RowOutcome } from './rows/read-dataset.js';
export { readColumns, type ReadColumnsOptions } from './rows/read-columns.js';
export { parseRenamedColumns } from './rows/renamed-columns.js';
export { rowFiles } from './rows/images/row-files.js';
export { scanRows, type RowScan } from './rows/scan-rows.js';
export { countOf, datasetWarnings } from './rows/warnings.js';
export { reservedTemplateNames } from './reserved-names.js';
export { heldOutCount, heldOutOfFiles, sampleCalibration, splitValidation } from './split.js';
export { RowSurveyor, type RowSurvey } from './survey/row-survey.js';
export { parseCalendarDate } from './templates/calendar-date.js';
export { loadTokenizer, type ChatTokenizer } from './templates/chat-tokenizer.js';
export { TextStream } from './templates/text-stream.js';
export { openDatasetThread } from './thread/dataset-thread.js';
