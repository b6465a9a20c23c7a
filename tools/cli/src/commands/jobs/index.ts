import type { CommandList } from '../../command/command-tree.js';

export const jobsCommands: CommandList = {
  create: {
    summary: 'queue a job; with --watch and --download also wait for it and fetch the adapter',
    load: () => import('./create.js'),
  },
  list: { summary: 'jobs, the newest first', load: () => import('./list.js') },
  get: { summary: 'a job as it is now', load: () => import('./get.js') },
  watch: { summary: 'show a job until it ends', load: () => import('./watch.js') },
  cancel: { summary: 'ask a job to stop', load: () => import('./cancel.js') },
  delete: {
    summary: 'delete a job that is over, with its events and artifacts',
    load: () => import('./delete.js'),
  },
  artifacts: { summary: 'files that a job has made', load: () => import('./artifacts.js') },
  download: {
    summary: 'write the result of a job; goes on where an earlier attempt stopped',
    load: () => import('./download.js'),
  },
  plan: {
    summary: 'peak memory and time of each stage on the deployment, before anything runs',
    load: () => import('./plan.js'),
  },
  upload: {
    summary: 'store rows on the deployment, for several jobs',
    load: () => import('./upload.js'),
  },
};
