export { writeReport, writeRunReport } from './write-report.js';
