/** Copies `height` rows of `width` elements; rows are `fromBytes` and `toBytes` apart. */
export function copyTile<T>(from: usize, fromBytes: usize, to: usize, toBytes: usize, height: i32, width: i32): void {
  for (let row = 0; row < height; row += 1, from += fromBytes, to += toBytes) {
    for (let column = 0; column < width; column += 1) {
      const offset = <usize>column * sizeof<T>();
      store<T>(to + offset, load<T>(from + offset));
    }
  }
}
