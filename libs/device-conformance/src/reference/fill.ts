export function fill(count: number, value: number): number[] {
  return new Array<number>(count).fill(value);
}
