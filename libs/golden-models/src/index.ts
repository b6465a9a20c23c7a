export {
  compareGolden,
  float32Limits,
  type Comparison,
  type Deviation,
  type Limits,
  type Measured,
  type MeasuredGradients,
  type MeasuredSequence,
  type Quantity,
} from './compare.js';
export { fixtureNames, unpackFixture, type GoldenFixture } from './fixtures.js';
export { goldenAdapter, goldenAlpha, goldenRank, type GoldenAdapter } from './golden-adapter.js';
export {
  readGolden,
  type Golden,
  type GoldenFeatures,
  type GoldenGradients,
  type GoldenLora,
  type GoldenSequence,
} from './golden.js';
