export { runFileName } from './run-record.js';
export { reportFileName, writeReport, writeRunReport } from './write-report.js';
