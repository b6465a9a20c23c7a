export { FakeClock } from './fake-clock.js';
export { until } from './until.js';
