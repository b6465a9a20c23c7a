/** The record that an output folder has of itself. Its key `files` lists what was written. */
export const recordFileName = 'emloc.json';

/** The card of an adapter, as hubs show it. Its owner may write in it. */
export const cardFileName = 'README.md';

/** The log of the job that made an adapter. */
export const logFileName = 'log.jsonl';

/** The page of that job, and what the page knows of its run: not the same for equal inputs. */
export const reportFileName = 'report.html';
export const runFileName = 'run.json';
