export { allDone } from './all-done.js';
export { at, last } from './at.js';
export { firstError } from './first-error.js';
export { get } from './get.js';
export { messageOf } from './message-of.js';
export { required } from './required.js';
