import type { DeviceProfile } from '@emloc/device';
import {
  paddedBatch,
  paddedShape,
  textSizeOf,
  type BatchShape,
  type ModelLayout,
  type RowSource,
  type TextSize,
} from '@emloc/models';

/** Launches of a training step for each operation of the model's programs, about. */
const launchesPerOperation = 4;
/** Multiplications and additions of a token with a weight, there and back. */
const operationsPerWeight = 4;
/** Longest sequences are told apart from here on. */
const leastLongest = 128;
const leastGranule = 16;
/** Up to a share of the limit: into how many a power of two is divided. */
const granuleShares = [
  [1 / 4, 2],
  [1 / 2, 4],
  [1, 8],
] as const;

/**
 * Up to how many tokens a step takes the host longer to launch than the device to compute; 0 where
 * launching takes no time. Of the model and the kind of device alone: it decides the last bits of
 * what is trained.
 */
export function launchBoundTokens({
  layout,
  profile,
  rankOf = () => null,
}: {
  readonly layout: ModelLayout;
  readonly profile: Pick<DeviceProfile, 'launchOperations'>;
  /** Rank of a linear layer that is kept as factors, by its path; null: it is whole. */
  readonly rankOf?: (path: string) => number | null;
}): number {
  const { launchOperations = 0 } = profile;
  if (launchOperations === 0) return 0;
  const ranks = new Map(
    layout.linears.map(({ block, name, path }) => [`${block} ${name}`, rankOf(path)]),
  );
  let [operations, weights] = [0, 0];
  for (const { index, program } of layout.blocks) {
    operations += program.operations.length;
    for (const { name, inFeatures, outFeatures } of program.linears) {
      const rank = ranks.get(`${index} ${name}`) ?? null;
      weights += rank === null ? inFeatures * outFeatures : rank * (inFeatures + outFeatures);
    }
  }
  const launches = launchesPerOperation * operations;
  return Math.floor((launchOperations * launches) / (operationsPerWeight * Math.max(1, weights)));
}

/**
 * The shape of a batch with padding, which brings it to one of few sizes; as it is where it is no
 * batch of texts, or has more than `mostTokens`. Up to there, a batch that has no less of anything
 * has no less of anything when it is rounded.
 */
export function roundedShape(shape: BatchShape, mostTokens: number): BatchShape {
  const size = textSizeOf(shape);
  if (!size || size.tokens > mostTokens) return shape;
  return paddedShape(shape, roundedSize(size, mostTokens));
}

/**
 * A shape that is at least as much of everything as this one and as any rounded one of no more
 * than this one has.
 */
export function coveringShape(shape: BatchShape, mostTokens: number): BatchShape {
  const size = textSizeOf(shape);
  if (!size || mostTokens === 0) return shape;
  const largest = roundedSize({ ...size, tokens: Math.min(size.tokens, mostTokens) }, mostTokens);
  return paddedShape(shape, {
    tokens: Math.max(size.tokens, largest.tokens),
    trained: Math.max(size.trained, largest.trained),
    longest: Math.max(size.longest, largest.longest),
  });
}

/** Rows whose batches are rounded, see `roundedShape`. */
export function roundedRows(source: RowSource, mostTokens: number): RowSource {
  if (mostTokens === 0) return source;
  return {
    shape: (rows) => roundedShape(source.shape(rows), mostTokens),
    load: async (rows, isWanted) => {
      const batch = await source.load(rows, isWanted);
      const shape = roundedShape(batch.shape, mostTokens);
      return shape === batch.shape ? batch : paddedBatch(batch, shape);
    },
  };
}

/** Padding is shorter than a granule. */
function roundedSize({ tokens, trained, longest }: TextSize, mostTokens: number): TextSize {
  const granule = granuleOf(tokens, mostTokens);
  return {
    tokens: roundUp(tokens, granule),
    trained: roundUp(trained, granule),
    longest: powerFrom(Math.max(leastLongest, longest, granule)),
  };
}

/**
 * A power of two that does not become smaller as tokens become more: so no size does. Where the
 * host is far behind the device padding costs nothing and granules are coarse; nearer to the limit
 * they are finer, as far as they can be.
 */
function granuleOf(tokens: number, mostTokens: number): number {
  const granules = granuleShares.map(
    ([share, divisor]) => powerTo(Math.min(tokens, share * mostTokens)) / divisor,
  );
  return Math.max(leastGranule, ...granules);
}

function roundUp(value: number, granule: number): number {
  return Math.ceil(value / granule) * granule;
}

/** The largest power of two up to a number; at least 1. */
function powerTo(value: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, value)));
}

/** The smallest power of two from a number on. */
function powerFrom(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}
