/** `out` plus every row of x times the gate of its sequence; gate (sequences, width). */
export function gatedAdd(
  out: Float64Array,
  x: Float64Array,
  gate: Float64Array,
  lengths: readonly number[],
): Float64Array {
  const width = gate.length / lengths.length;
  const owners = lengths.flatMap((length, s) => new Array<number>(length).fill(s));
  return out.map((value, index) => {
    const owner = owners[Math.floor(index / width)] as number;
    return value + (gate[owner * width + (index % width)] as number) * (x[index] as number);
  });
}
