export { FakeClock } from './fake-clock.js';
export { takes } from './takes.js';
export { until } from './until.js';
