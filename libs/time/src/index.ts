export { Backoff, backoffMs, type BackoffPolicy } from './backoff.js';
export { systemClock, type Clock, type Timer } from './clock.js';
export { within } from './deadline.js';
export { Mailbox } from './mailbox.js';
export {
  identityOf,
  isRunning,
  parseIdentity,
  type ProcessIdentity,
} from './process-lock/process-identity.js';
export { lockFile, LockHeldError } from './process-lock/process-lock.js';
export { Renewal } from './renewal.js';
export { nextTurn, pause, sleep } from './sleep.js';
export { Watchdog } from './watchdog.js';
