import { EmulatorError } from './errors.js';

export type StatisticValues = Float32Array | Float64Array;

/**
 * A finished statistic in host memory: G = Σ xᵀ x of a shared input, or M = Σ yᵀ y of one layer's
 * outputs without bias.
 */
export interface LayerStatistic {
  readonly kind: 'input' | 'output';
  /** Names of the linear layers that it serves. */
  readonly linears: readonly string[];
  readonly features: number;
  readonly inFeatures: number;
  /** t = Σ ‖x‖² over all rows of the input */
  readonly squaredNorm: number;
  /**
   * (features, features) row-major, both triangles valid, in the dtype in which it was accumulated
   */
  readonly matrix: StatisticValues;
}

/**
 * A finished statistic of the gradient g of the loss with respect to one layer's outputs, in host
 * memory: output is O = Σ gᵀ g (out, out), input is K = Σ (g W)ᵀ (g W) (in, in).
 */
export interface GradientStatistic {
  readonly kind: 'input' | 'output';
  /** Name of the linear layer. */
  readonly linear: string;
  readonly features: number;
  readonly outFeatures: number;
  /** tr O = Σ ‖g‖² over all rows */
  readonly squaredNorm: number;
  /** As that of LayerStatistic. */
  readonly matrix: StatisticValues;
}

/** The statistics of one block. */
export interface LayerStatistics {
  readonly label: string;
  readonly statistics: readonly LayerStatistic[];
  /** Of every layer, or empty: what its outputs are good for is not asked. */
  readonly gradients: readonly GradientStatistic[];
}

/** The statistic that serves this linear layer. @throws EmulatorError EMULATOR_UNKNOWN_LAYER */
export function statisticFor(
  { label, statistics }: LayerStatistics,
  linear: string,
): LayerStatistic {
  const found = statistics.find(({ linears }) => linears.includes(linear));
  if (found) return found;
  throw new EmulatorError(
    'EMULATOR_UNKNOWN_LAYER',
    `statistics of ${label} have none for ${linear}`,
  );
}

/**
 * The statistic of this linear layer's gradients; null where none were measured.
 * @throws EmulatorError EMULATOR_UNKNOWN_LAYER
 */
export function gradientStatisticFor(
  { label, gradients }: LayerStatistics,
  linear: string,
): GradientStatistic | null {
  if (gradients.length === 0) return null;
  const found = gradients.find((gradient) => gradient.linear === linear);
  if (found) return found;
  throw new EmulatorError(
    'EMULATOR_UNKNOWN_LAYER',
    `statistics of ${label} have no gradients for ${linear}`,
  );
}

/**
 * The upper triangle of a symmetric (n, n) matrix, row after row: n (n + 1) / 2 elements. What is
 * stored and sent.
 */
export function packTriangle<T extends StatisticValues>(matrix: T, features: number): T {
  const packed = createLike(matrix, (features * (features + 1)) / 2);
  let start = 0;
  for (let row = 0; row < features; row += 1) {
    packed.set(matrix.subarray(row * features + row, (row + 1) * features), start);
    start += features - row;
  }
  return packed;
}

/** The whole matrix of a packed upper triangle. @throws EmulatorError EMULATOR_SHAPE_MISMATCH */
export function unpackTriangle<T extends StatisticValues>(packed: T, features: number): T {
  if (packed.length !== (features * (features + 1)) / 2) {
    throw new EmulatorError(
      'EMULATOR_SHAPE_MISMATCH',
      `triangle of ${features} features has ${packed.length} elements, ${(features * (features + 1)) / 2} expected`,
    );
  }
  const matrix = createLike(packed, features * features);
  let start = 0;
  for (let row = 0; row < features; row += 1) {
    const upper = packed.subarray(start, start + features - row);
    matrix.set(upper, row * features + row);
    start += upper.length;
  }
  mirrorUpper(matrix, features);
  return matrix;
}

/** Copies the upper triangle to the lower one, tile by tile so that both stay in cache. */
function mirrorUpper(matrix: StatisticValues, features: number): void {
  const tile = 32;
  for (let rowStart = 0; rowStart < features; rowStart += tile) {
    const rowEnd = Math.min(rowStart + tile, features);
    for (let columnStart = 0; columnStart <= rowStart; columnStart += tile) {
      for (let row = rowStart; row < rowEnd; row += 1) {
        const columnEnd = Math.min(columnStart + tile, row);
        for (let column = columnStart; column < columnEnd; column += 1) {
          matrix[row * features + column] = matrix[column * features + row] as number;
        }
      }
    }
  }
}

function createLike<T extends StatisticValues>(values: T, length: number): T {
  return (
    values instanceof Float64Array ? new Float64Array(length) : new Float32Array(length)
  ) as T;
}
