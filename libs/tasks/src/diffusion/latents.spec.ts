import { readFileSync } from 'node:fs';

import {
  decoderLatents,
  latentRows,
  packLatents,
  sampleMoments,
  unpackLatents,
} from './latents.js';

interface Golden {
  readonly size: { readonly height: number; readonly width: number };
  readonly scaling: { readonly shift: number; readonly scale: number };
  readonly noiseLevel: number;
  /** (channels, height, width) */
  readonly mean: readonly number[];
  readonly noise: readonly number[];
  readonly packedNoisy: readonly number[];
}

const golden = JSON.parse(
  readFileSync(new URL('../../test/goldens/golden-flux.json', import.meta.url), 'utf8'),
) as Golden;
const limits = { latentChannels: 16, patch: 2 };

/** (channels, pixels) as (pixels, channels) */
function byPixel(values: readonly number[]): Float32Array {
  const pixels = values.length / 16;
  return Float32Array.from(values, (_, i) => values[(i % 16) * pixels + Math.floor(i / 16)] ?? 0);
}

describe('packed latents', () => {
  it('are those of diffusers: means, shifted, scaled and noised, in rows of patches', () => {
    const { size, scaling, noiseLevel } = golden;
    const [mean, noise] = [byPixel(golden.mean), byPixel(golden.noise)];
    const moments = new Float32Array(2 * mean.length).map((_, i) =>
      i % 32 < 16 ? (mean[Math.floor(i / 32) * 16 + (i % 32)] ?? 0) : -30,
    );
    const latents = sampleMoments(moments, null, { ...limits, scaling });
    const noisy = latents.map((z, i) => (1 - noiseLevel) * z + noiseLevel * (noise[i] ?? 0));
    const packed = packLatents(noisy, size, limits);
    expect(packed).toHaveLength(golden.packedNoisy.length);
    golden.packedNoisy.forEach((value, index) => expect(packed[index]).toBeCloseTo(value, 5));
  });

  it.each([
    [{ height: 4, width: 6 }, 16, 2],
    [{ height: 2, width: 2 }, 3, 2],
    [{ height: 6, width: 3 }, 4, 3],
    [{ height: 3, width: 5 }, 2, 1],
  ])('come back as they were: %j of %d channels, patches of %d', (size, latentChannels, patch) => {
    const pixels = Float32Array.from(
      { length: size.height * size.width * latentChannels },
      (_, index) => index,
    );
    const packed = packLatents(pixels, size, { latentChannels, patch });
    expect(unpackLatents(packed, size, { latentChannels, patch })).toEqual(pixels);
    expect(latentRows(size, { latentChannels, patch })).toBe(
      packed.length / (latentChannels * patch ** 2),
    );
  });

  it('have channels before places within a patch', () => {
    const pixels = Float32Array.of(0, 10, 1, 11, 2, 12, 3, 13);
    const packed = packLatents(pixels, { height: 2, width: 2 }, { latentChannels: 2, patch: 2 });
    expect([...packed]).toEqual([0, 1, 2, 3, 10, 11, 12, 13]);
  });

  it.each([
    { height: 3, width: 4 },
    { height: 4, width: 0 },
    { height: 4, width: 4.5 },
  ])('refuse %j', (size) => {
    expect(() => packLatents(new Float32Array(16), size, limits)).toThrow(
      expect.objectContaining({ code: 'DIFFUSION_INVALID_SIZE' }),
    );
  });
});

describe('draws from moments', () => {
  const one = { latentChannels: 1, scaling: { shift: 0.5, scale: 2 } };

  it('add noise by the standard deviation, then shift, then scale', () => {
    const moments = Float32Array.of(1, Math.log(4), -1, 0);
    expect([...sampleMoments(moments, Float32Array.of(3, 1), one)]).toEqual([
      expect.closeTo((1 + 2 * 3 - 0.5) * 2, 5),
      expect.closeTo((-1 + 1 - 0.5) * 2, 5),
    ]);
    expect([...sampleMoments(moments, null, one)]).toEqual([1, -3]);
  });

  it('clamp logarithms of variances to -30 and 20', () => {
    const [low, high] = sampleMoments(Float32Array.of(0, -1000, 0, 1000), Float32Array.of(1, 1), {
      ...{ latentChannels: 1, scaling: { shift: 0, scale: 1 } },
    });
    expect(low).toBeCloseTo(Math.exp(-15), 10);
    expect((high ?? 0) / Math.exp(10)).toBeCloseTo(1, 5);
  });

  it('are undone for the decoder', () => {
    const latents = sampleMoments(Float32Array.of(0.25, 0), null, one);
    expect([...decoderLatents(latents, one)]).toEqual([0.25]);
  });
});
