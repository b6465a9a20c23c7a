export { at, last } from './at.js';
export { get } from './get.js';
export { required } from './required.js';
