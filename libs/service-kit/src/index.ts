export { ServiceKitError, isServiceKitError } from './errors.js';
export {
  compileOptions,
  describeOptions,
  secretValues,
  type OptionSet,
  type OptionValues,
} from './options/compile-options.js';
export {
  booleanOption,
  bytesOption,
  choiceOption,
  durationOption,
  integerOption,
  listOption,
  stringOption,
} from './options/option-types.js';
export { createLogger, type Logger } from './log/logger.js';
export { createShutdown, type Shutdown } from './shutdown/shutdown.js';
export { createWorkerHost, moved, type RunOptions, type WorkerHost } from './worker/host.js';
export type { Moved, WorkerContract } from './worker/messages.js';
export { serveWorker, type WorkerContext } from './worker/serve.js';
