export interface GroupNormParameters {
  readonly groups: number;
  readonly weight: Float64Array;
  readonly bias: Float64Array;
  readonly epsilon: number;
  readonly activation?: 'silu';
}

/** Less the mean and over the standard deviation of a sequence's group of columns, one by one. */
export function groupNorm(
  x: Float64Array,
  lengths: readonly number[],
  { groups, weight, bias, epsilon, activation }: GroupNormParameters,
): Float64Array {
  const width = weight.length;
  const owners = lengths.flatMap((length, s) => new Array<number>(length).fill(s));
  const partOf = (index: number): number =>
    (owners[Math.floor(index / width)] as number) * groups +
    Math.floor(((index % width) * groups) / width);
  const members = Array.from({ length: lengths.length * groups }, (): number[] => []);
  x.forEach((value, index) => members[partOf(index)]?.push(value));
  const moments = members.map((values) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return { mean, deviation: Math.sqrt(squares / values.length + epsilon) };
  });
  return x.map((value, index) => {
    const { mean, deviation } = moments[partOf(index)] ?? { mean: 0, deviation: 1 };
    const [gain, shift] = [weight[index % width] as number, bias[index % width] as number];
    const result = ((value - mean) / deviation) * gain + shift;
    return activation ? result / (1 + Math.exp(-result)) : result;
  });
}
