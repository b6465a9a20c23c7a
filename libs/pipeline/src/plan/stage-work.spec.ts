import type { DeviceRates } from '@emloc/device';
import type { NullBackend } from '@emloc/device-null';

import type { StagePart } from '../job/environment.js';
import { StageWork } from './stage-work.js';

/** Of one second a flop, a byte and a call; of two a byte that is copied. */
const rates: DeviceRates = {
  kernels: {},
  otherwise: { secondsPerFlop: 1, secondsPerByte: 1, secondsPerCall: 1 },
  uploadSecondsPerByte: 2,
  downloadSecondsPerByte: 2,
};

const noLaunches = { issued: 0, recorded: 0 };

interface Counts {
  readonly flops?: number;
  readonly float64Flops?: number;
  readonly compute?: number;
  readonly copy?: number;
  readonly launches?: typeof noLaunches;
}

/** Seconds of a stage that does this in one turn. */
function secondsOf(counts: Counts, overlapsCopies: boolean, given = rates): number {
  const { flops = 0, float64Flops = 0, compute = 0, copy = 0 } = counts;
  const { launches = noLaunches } = counts;
  let done = false;
  const backend = {
    get work() {
      const counted = { calls: 0, bytes: 0, flops, float64Flops };
      return new Map(done ? [['gemm', counted]] : []);
    },
    get transferred() {
      const uploaded = done ? { compute, copy } : { compute: 0, copy: 0 };
      return { uploaded, downloaded: 0 };
    },
    get launches() {
      return done ? launches : noLaunches;
    },
  } as unknown as NullBackend;
  const work = new StageWork();
  const onTurn = work.record(backend);
  onTurn('enter', 'train');
  done = true;
  onTurn('leave', 'train');
  return work.seconds('train', given, { overlapsCopies });
}

/** A device that has made as many flops as were added. */
function countingFlops() {
  let flops = 0;
  const backend = {
    get work() {
      return new Map([['gemm', { calls: 0, bytes: 0, flops, float64Flops: 0 }]]);
    },
    transferred: { uploaded: { compute: 0, copy: 0 }, downloaded: 0 },
    launches: noLaunches,
  } as unknown as NullBackend;
  return { backend, add: (more: number) => (flops += more) };
}

describe('the time of a stage', () => {
  it('is the longer of its work and of what is copied ahead where a device overlaps them', () => {
    expect(secondsOf({ flops: 10, copy: 3 }, true)).toBe(10);
    expect(secondsOf({ flops: 10, copy: 8 }, true)).toBe(16);
  });

  it('is the sum of both where it does not', () => {
    expect(secondsOf({ flops: 10, copy: 3 }, false)).toBe(16);
  });

  it.each([true, false])('has copies among the kernels in full (overlap: %p)', (overlaps) => {
    expect(secondsOf({ flops: 10, compute: 3 }, overlaps)).toBe(16);
  });

  it('has products in float64 at their own rate, if there is one', () => {
    const slow = { ...rates, kernels: { gemm: { ...rates.otherwise, secondsPerFloat64Flop: 64 } } };
    expect(secondsOf({ flops: 10, float64Flops: 2 }, true, slow)).toBe(8 + 128);
    expect(secondsOf({ flops: 10, float64Flops: 2 }, true)).toBe(10);
  });

  it('has what stands for more as often as that, also a part of what is between', () => {
    const { backend, add } = countingFlops();
    const work = new StageWork();
    const onTurn = work.record(backend);
    onTurn('enter', 'front');
    for (const times of [1, -2, 7]) {
      add(10);
      work.onTimes(times);
    }
    add(10);
    onTurn('leave', 'front');
    expect(work.seconds('front', rates, { overlapsCopies: false })).toBe(10 - 20 + 70 + 10);
  });

  it('is that of launching where this takes longer', () => {
    const launches = { secondsPerLaunch: 2, secondsPerRecordedLaunch: 3 };
    const seconds = (flops: number, counts: Partial<typeof noLaunches>): number => {
      const given = { flops, launches: { ...noLaunches, ...counts } };
      return secondsOf(given, true, { ...rates, launches });
    };
    expect(seconds(100, { issued: 10, recorded: 4 })).toBe(100);
    expect(seconds(10, { issued: 10, recorded: 4 })).toBe(20 + 12);
    expect(secondsOf({ flops: 10, launches: { ...noLaunches, issued: 99 } }, true)).toBe(10);
  });

  it('is, of steps that are not rehearsed, that of the later half of those of their level', () => {
    const work = new StageWork();
    const { backend, add } = countingFlops();
    const onTurn = work.record(backend);
    onTurn('enter', 'train');
    const parts = (part: StagePart, ...values: readonly number[]): void => {
      for (const value of values) {
        add(value);
        work.onPart('train', part);
      }
    };
    parts('step', 1000, 90, 80, 3, 5);
    parts('change', 7);
    parts('step', 60, 20, 40);
    onTurn('leave', 'train');
    const counts = { step: 1 + 7 * 2, anchor: 0, validation: 0, sample: 0, change: 1 };
    const rehearsed = 1000 + 90 + 80 + 3 + 5 + 7 + 60 + 20 + 40;
    // Twice as many steps as were rehearsed.
    expect(work.seconds('train', rates, { counts, overlapsCopies: true })).toBe(
      rehearsed + 4 * 4 + 3 * 30,
    );
    expect(work.onceSeconds('train', rates, true)).toBe(1000);
  });
});
