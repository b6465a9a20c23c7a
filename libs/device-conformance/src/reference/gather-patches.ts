export interface PatchShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly size: number;
  readonly stride: number;
  readonly before: number;
  readonly upsample?: number;
  readonly outWidth: number;
  /** Output pixels [first, first + count). */
  readonly first: number;
  readonly count: number;
}

/** The image (height, width, channels) enlarged, pixel by pixel. */
function enlarged(x: Float64Array, { height, width, channels, upsample = 1 }: PatchShape) {
  const at = (y: number, column: number, channel: number): number =>
    y < 0 || column < 0 || y >= height * upsample || column >= width * upsample
      ? 0
      : (x[
          (Math.floor(y / upsample) * width + Math.floor(column / upsample)) * channels + channel
        ] as number);
  return at;
}

/** (count, channels, size, size) */
export function gatherPatches(x: Float64Array, shape: PatchShape): Float64Array {
  const { channels, size, stride, before, outWidth, first, count } = shape;
  const at = enlarged(x, shape);
  const out: number[] = [];
  for (let pixel = first; pixel < first + count; pixel += 1)
    for (let channel = 0; channel < channels; channel += 1)
      for (let dy = 0; dy < size; dy += 1)
        for (let dx = 0; dx < size; dx += 1) {
          const y = Math.floor(pixel / outWidth) * stride + dy - before;
          out.push(at(y, (pixel % outWidth) * stride + dx - before, channel));
        }
  return Float64Array.from(out);
}
