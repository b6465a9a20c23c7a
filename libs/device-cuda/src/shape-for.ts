const threads = 256;

/** Blocks for `count` elements, `width` of them a thread. */
export function shapeFor(count: number, width: number) {
  return { grid: [Math.ceil(count / width / threads)] as const, block: threads };
}
