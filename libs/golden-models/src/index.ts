export { bfloat16Limits, compareGolden, float32Limits } from './compare.js';
export type { Comparison, Deviation, Limits, Measured, Quantity } from './compare.js';
export { bfloat16DiffusionLimits, compareDiffusion } from './compare-diffusion.js';
export { readDiffusionGolden, type DiffusionGolden } from './diffusion-golden.js';
export { measureDiffusion, type MeasuredDiffusion } from './measure-diffusion.js';
export { fixtureNames, unpackFixture, type GoldenFixture } from './fixtures.js';
export { goldenRows, readTiles, type GoldenTiles } from './golden-rows.js';
export { readGolden, type Golden } from './golden.js';
export { LogitRecorder, measureGolden } from './measure.js';
