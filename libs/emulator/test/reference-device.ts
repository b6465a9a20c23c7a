import {
  Device,
  factorizationNames,
  launchedKernelNames,
  MemoryBudget,
  type Backend,
  type DeviceProfile,
  type DType,
  type HostArray,
  type HostValues,
  type Kernels,
  type Tensor,
} from '@emloc/device';

import { symmetricEigen } from './matrix.js';

/** A profile with workspaces and paddings that show in memory figures. */
export const referenceProfile: DeviceProfile = Object.freeze({
  name: 'reference',
  computeDType: 'float32',
  statisticsDType: 'float64',
  allocationBytes: 64,
  rankMultiple: 4,
  reserveBytes: 128,
  workspaceBytes: {
    eigh: ({ a }) => 3 * a.byteLength,
    cholesky: ({ a }) => a.byteLength,
    gemm: ({ out }) => out.byteLength,
  },
} satisfies DeviceProfile);

/**
 * A device that computes in float64 and rounds every result to its tensor's dtype: the kernels of
 * this library, naively.
 */
export function openReferenceDevice(
  profile: Partial<DeviceProfile> = {},
  totalBytes = Number.POSITIVE_INFINITY,
): Device {
  return new Device(
    createReferenceBackend({ ...referenceProfile, ...profile }),
    new MemoryBudget(totalBytes),
  );
}

function createReferenceBackend(profile: DeviceProfile): Backend<Float64Array> {
  return {
    profile,
    kernels: completeKernels(),
    allocate: (bytes) => new Float64Array(bytes).fill(Number.NaN),
    free: () => undefined,
    upload: (destination, source) => write(destination, hostNumbers(source)),
    download: async (source) => hostValues(source),
    downloadBytes: () => Promise.reject(new Error('reference device: no raw bytes')),
    allocateHost: (bytes) => ({ bytes: new Uint8Array(bytes), dispose: () => undefined }),
    record: () => ({ wait: () => Promise.resolve(), dispose: () => undefined }),
    streamWait: () => undefined,
    synchronize: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** The kernels below, and for all others one that refuses. */
function completeKernels(): Kernels {
  const refusals = [...launchedKernelNames, ...factorizationNames].map((name) => [
    name,
    () => {
      throw new Error(`reference device: no kernel ${name}`);
    },
  ]);
  return { ...Object.fromEntries(refusals), ...kernels } as Kernels;
}

function elements(tensor: Tensor): Float64Array {
  return (tensor.handle as Float64Array).subarray(
    tensor.elementOffset,
    tensor.elementOffset + tensor.size,
  );
}

function write(tensor: Tensor, values: ArrayLike<number>): void {
  const target = elements(tensor);
  for (let i = 0; i < target.length; i += 1) target[i] = roundTo(tensor.dtype, values[i] as number);
}

/** Round to nearest even. */
function roundTo(dtype: DType, value: number): number {
  if (dtype === 'float64') return value;
  if (dtype === 'int32') return value | 0;
  const single = Math.fround(value);
  if (dtype === 'float32' || !Number.isFinite(single)) return single;
  const bits = new Uint32Array(Float32Array.of(single).buffer);
  const word = bits[0] as number;
  bits[0] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0] as number;
}

function hostNumbers({ bytes, dtype }: HostArray): ArrayLike<number> {
  const { buffer, byteOffset, byteLength } = bytes;
  return dtype === 'float64'
    ? new Float64Array(buffer, byteOffset, byteLength / 8)
    : new Float32Array(buffer, byteOffset, byteLength / 4);
}

function hostValues(source: Tensor): HostValues {
  return source.dtype === 'float64'
    ? Float64Array.from(elements(source))
    : Float32Array.from(elements(source));
}

const kernels: Partial<Kernels> = {
  gemm({ a, b, out, transposeA, transposeB, alpha = 1, accumulate }) {
    const [m, n] = [out.dim(0), out.dim(1)];
    const [x, y, before] = [elements(a), elements(b), elements(out)];
    const k = a.size / m;
    if (a.dtype !== b.dtype || b.size !== k * n)
      throw new Error(`gemm: ${a.label} and ${b.label} do not fit ${out.label}`);
    write(
      out,
      Float64Array.from(before, (old, index) => {
        const [row, column] = [Math.floor(index / n), index % n];
        let sum = 0;
        for (let i = 0; i < k; i += 1) {
          sum +=
            (x[transposeA ? i * m + row : row * k + i] as number) *
            (y[transposeB ? column * k + i : i * n + column] as number);
        }
        return alpha * sum + (accumulate ? old : 0);
      }),
    );
  },
  gram({ x, out }) {
    const n = out.dim(0);
    const values = elements(x);
    write(
      out,
      Float64Array.from(elements(out), (old, index) => {
        const [row, column] = [Math.floor(index / n), index % n];
        let sum = old;
        for (let i = 0; i < values.length; i += n)
          sum += (values[i + row] as number) * (values[i + column] as number);
        return sum;
      }),
    );
  },
  cast({ x, out }) {
    write(out, elements(x));
  },
  fill({ out, value }) {
    write(out, new Float64Array(out.size).fill(value));
  },
  add({ x, out, alpha = 1 }) {
    const values = elements(x);
    if (x.dtype !== out.dtype)
      throw new Error(`add: ${x.label} is ${x.dtype}, ${out.label} ${out.dtype}`);
    write(
      out,
      elements(out).map((old, i) => old + alpha * (values[i] as number)),
    );
  },
  scale({ x, scale, along, out }) {
    const columns = x.dim(1);
    const factors = elements(scale);
    if (x.dtype !== scale.dtype)
      throw new Error(`scale: ${x.label} is ${x.dtype}, its scale ${scale.dtype}`);
    write(
      out,
      elements(x).map(
        (value, i) =>
          value * (factors[along === 'rows' ? Math.floor(i / columns) : i % columns] as number),
      ),
    );
  },
  scaleBy({ x, out, factor }) {
    write(
      out,
      elements(x).map((value) => factor * value),
    );
  },
  squaredNorms({ tensors, out }) {
    write(
      out,
      tensors.map((tensor) => elements(tensor).reduce((sum, value) => sum + value * value, 0)),
    );
  },
  async eigh({ a, values }) {
    const n = a.dim(0);
    const solution = symmetricEigen({ rows: n, columns: n, values: elements(a) });
    write(values, solution.values);
    write(a, solution.vectors.values);
  },
  async cholesky({ a }) {
    const n = a.dim(0);
    const work = Float64Array.from(elements(a));
    for (let j = 0; j < n; j += 1) {
      for (let i = 0; i < n; i += 1) {
        if (i < j) {
          work[i * n + j] = 0;
          continue;
        }
        let sum = work[i * n + j] as number;
        for (let k = 0; k < j; k += 1)
          sum -= (work[i * n + k] as number) * (work[j * n + k] as number);
        if (i === j && !(sum > 0)) {
          elements(a).fill(Number.NaN);
          return false;
        }
        work[i * n + j] = i === j ? Math.sqrt(sum) : sum / (work[j * n + j] as number);
      }
    }
    write(a, work);
    return true;
  },
  async solveTriangular({ x, l }) {
    const n = l.dim(0);
    const factor = elements(l);
    const work = Float64Array.from(elements(x));
    for (let row = 0; row < work.length; row += n) {
      for (let i = 0; i < n; i += 1) {
        let sum = work[row + i] as number;
        for (let k = 0; k < i; k += 1)
          sum -= (work[row + k] as number) * (factor[i * n + k] as number);
        work[row + i] = sum / (factor[i * n + i] as number);
      }
    }
    write(x, work);
  },
};
