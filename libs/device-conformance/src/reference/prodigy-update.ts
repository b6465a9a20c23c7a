interface ProdigyMomentsOf {
  readonly value: Float64Array;
  readonly first: Float64Array;
  readonly second: Float64Array;
}

/** The parameter after a step along its moments. */
export function prodigyUpdate(
  { value, first, second }: ProdigyMomentsOf,
  {
    stepSize,
    epsilon,
    weightDecay,
  }: { readonly stepSize: number; readonly epsilon: number; readonly weightDecay: number },
): Float64Array {
  return value.map((old, i) => {
    const direction = (first[i] as number) / (Math.sqrt(second[i] as number) + epsilon);
    return old - stepSize * weightDecay * old - stepSize * direction;
  });
}
