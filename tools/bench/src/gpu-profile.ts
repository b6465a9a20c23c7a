import { at } from '@emloc/checked';
import {
  factorizationNames,
  launchedKernelNames,
  type Backend,
  type KernelName,
  type Kernels,
  type Tensor,
} from '@emloc/device';
import type { CudaBackend, CudaMark } from '@emloc/device-cuda';

/** Times of one kind of launch. */
export interface KernelTime {
  readonly name: string;
  readonly calls: number;
  readonly milliseconds: number;
}

interface Launch {
  readonly name: string;
  readonly from: CudaMark;
  readonly to: CudaMark;
}

/** A backend whose launches are timed by events of the device while `record` is on. */
export class ProfiledBackend {
  readonly backend: Backend;
  #launches: Launch[] = [];
  #isRecording = false;

  constructor(private readonly cuda: CudaBackend) {
    const kernels = Object.fromEntries(
      [...launchedKernelNames, ...factorizationNames].map((name) => [name, this.#timed(name)]),
    ) as unknown as Kernels;
    this.backend = new Proxy(cuda, {
      get: (target, property) => {
        if (property === 'kernels') return kernels;
        // What is launched as one could not be timed one by one.
        if (property === 'recorder') return null;
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  record(): void {
    this.#isRecording = true;
  }

  /**
   * Ends the recording. Times by kind of launch, the longest first; `idle` is what lay between
   * launches.
   */
  async finish(): Promise<readonly KernelTime[]> {
    this.#isRecording = false;
    await this.cuda.synchronize();
    const { marks } = this.cuda;
    const times = new Map<string, { calls: number; milliseconds: number }>();
    const add = (name: string, milliseconds: number): void => {
      const before = times.get(name) ?? { calls: 0, milliseconds: 0 };
      times.set(name, {
        calls: before.calls + 1,
        milliseconds: before.milliseconds + milliseconds,
      });
    };
    this.#launches.forEach(({ name, from, to }, index) => {
      add(name, marks.millisecondsBetween(from, to));
      const previous = this.#launches[index - 1];
      if (previous) add('idle', marks.millisecondsBetween(previous.to, from));
    });
    for (const { from, to } of this.#launches.splice(0)) marks.free(from, to);
    return [...times]
      .map(([name, time]) => ({ name, ...time }))
      .sort((a, b) => b.milliseconds - a.milliseconds);
  }

  #timed(name: KernelName): (options: never) => unknown {
    const kernel = this.cuda.kernels[name] as (options: never) => unknown;
    return (options) => {
      if (!this.#isRecording) return kernel(options);
      const from = this.cuda.marks.set();
      const result = kernel(options);
      const to = this.cuda.marks.set();
      this.#launches.push({ name: labelOf(name, options), from, to });
      return result;
    };
  }
}

/** Launches of different shapes are told apart. */
function labelOf(name: KernelName, options: object): string {
  const tensors = Object.entries(options).filter(([, value]) => isTensor(value)) as [
    string,
    Tensor,
  ][];
  const shapes = tensors.slice(0, 3).map(([, { shape }]) => shape.join('x'));
  const flags = Object.entries(options)
    .filter(([, value]) => value === true)
    .map(([flag]) => flag);
  return [name, ...shapes, ...flags].join(' ');
}

function isTensor(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'shape' in value && 'dtype' in value;
}

/** Sums over kinds whose names begin with the same word, then each kind, as lines. */
export function profileTable(times: readonly KernelTime[]): string {
  const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const groups = new Map<string, number>();
  for (const { name, milliseconds } of times) {
    const group = at(name.split(' '), 0);
    groups.set(group, (groups.get(group) ?? 0) + milliseconds);
  }
  const line = (milliseconds: number, calls: string, name: string): string =>
    `${milliseconds.toFixed(3).padStart(9)} ms ${((100 * milliseconds) / total).toFixed(1).padStart(5)} % ${calls.padStart(6)}  ${name}`;
  return [
    line(total, '', 'all'),
    ...[...groups]
      .sort((a, b) => b[1] - a[1])
      .map(([name, milliseconds]) => line(milliseconds, '', name)),
    ...times.map(({ name, calls, milliseconds }) => line(milliseconds, String(calls), name)),
    '',
  ].join('\n');
}
