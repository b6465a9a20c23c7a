import type { KernelName, Work } from '@emloc/device';

/** The work of all launches of one kernel. */
export interface KernelWork extends Work {
  readonly calls: number;
  readonly float64Flops: number;
}

/** Adds to what a kernel has done. */
export function addedTo(
  all: Map<KernelName, KernelWork>,
  kernel: KernelName,
  { calls, flops, bytes, float64Flops }: KernelWork,
): void {
  const before = all.get(kernel);
  all.set(kernel, {
    calls: (before?.calls ?? 0) + calls,
    flops: (before?.flops ?? 0) + flops,
    bytes: (before?.bytes ?? 0) + bytes,
    float64Flops: (before?.float64Flops ?? 0) + float64Flops,
  });
}
