export { ServiceError, isServiceError } from './errors.js';
export { createLogger, type Logger } from './log/logger.js';
export { commonOptions } from './options/common-options.js';
export {
  compileOptions,
  describeOptions,
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
export { type ServiceTls } from './options/tls-files.js';
export { runService, type ServiceContext, type ServiceSetup } from './run/run-service.js';
export { programVersion } from './run/version.js';
export { createShutdown, type Shutdown } from './shutdown/shutdown.js';
