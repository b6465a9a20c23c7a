import { randomValues } from '../test/fixtures.js';
import { fromFloat32, toFloat32, type FloatDType } from './floats.js';

const halves = Uint16Array.from({ length: 65536 }, (_, index) => index);

/** The value of a 16-bit pattern, from the definition of the format. */
function valueOf(
  half: number,
  { exponentBits, fractionBits }: { exponentBits: number; fractionBits: number },
): number {
  const sign = half >>> 15 ? -1 : 1;
  const exponent = (half >>> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (half & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1)
    return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0
    ? sign * fraction * 2 ** (1 - bias)
    : sign * (1 + fraction) * 2 ** (exponent - bias);
}

const formats = [
  { dtype: 'bfloat16', exponentBits: 8, fractionBits: 7 },
  { dtype: 'float16', exponentBits: 5, fractionBits: 10 },
] as const satisfies readonly { dtype: FloatDType; exponentBits: number; fractionBits: number }[];

describe.each(formats)('$dtype', (format) => {
  const { dtype } = format;
  const widened = toFloat32(new Uint8Array(halves.buffer), dtype);

  it('widens all 65536 patterns to their values', () => {
    expect(
      widened.every((value, half) => Object.is(value, Math.fround(valueOf(half, format)))),
    ).toBe(true);
  });

  it('narrows every value back to its own pattern, NaN to NaN', () => {
    const back = new Uint16Array(fromFloat32(widened, dtype).buffer);
    const wrong = halves.filter((half) =>
      Number.isNaN(widened[half])
        ? !Number.isNaN(valueOf(back[half] ?? 0, format))
        : back[half] !== half,
    );
    expect([...wrong]).toEqual([]);
  });

  it('rounds what lies between to the nearest, ties to even', () => {
    const finite = [...halves].filter(
      (half) => half < 0x7fff && Number.isFinite(valueOf(half + 1, format)),
    );
    const middles = Float32Array.from(
      finite,
      (half) => (valueOf(half, format) + valueOf(half + 1, format)) / 2,
    );
    const rounded = new Uint16Array(fromFloat32(middles, dtype).buffer);
    expect(finite.length).toBeGreaterThan(30_000);
    expect(
      finite.every((half, index) => rounded[index] === (half % 2 === 0 ? half : half + 1)),
    ).toBe(true);
  });

  it('never rounds further than half a step', () => {
    const values = randomValues(20_000, 7, 4);
    const rounded = toFloat32(fromFloat32(values, dtype), dtype);
    const step = 2 ** -format.fractionBits;
    expect(
      values.every(
        (value, index) =>
          Math.abs(value - (rounded[index] ?? 0)) <= (Math.abs(value) * step) / 2 + 2 ** -25,
      ),
    ).toBe(true);
  });
});

it('makes infinite what float16 and bfloat16 cannot hold', () => {
  const values = Float32Array.of(65519.99, 65520, -1e9);
  expect([...toFloat32(fromFloat32(values, 'float16'), 'float16')]).toEqual([
    65504,
    Infinity,
    -Infinity,
  ]);
  const [largest = 0] = new Float32Array(Uint32Array.of(0x7f7fffff).buffer);
  expect([...toFloat32(fromFloat32(Float32Array.of(largest), 'bfloat16'), 'bfloat16')]).toEqual([
    Infinity,
  ]);
});

it('reads values at odd addresses and copies float32', () => {
  const bytes = new Uint8Array([0, ...new Uint8Array(Float32Array.of(1.5, -2).buffer)]).subarray(1);
  const values = toFloat32(bytes, 'float32');
  expect([...values]).toEqual([1.5, -2]);
  fromFloat32(values, 'float32').fill(0);
  expect([...values]).toEqual([1.5, -2]);
});
