import type { KernelName, KernelOptions } from './kernels/index.js';

/**
 * Scratch memory in bytes that each kernel takes for these shapes: pure, so that another device can
 * plan with it.
 */
export type WorkspaceBytes = { readonly [K in KernelName]?: (options: KernelOptions<K>) => number };

/** Everything about a device that decides how much memory a program takes on it. */
export interface DeviceProfile {
  readonly name: string;
  /** dtype of weights and activations. */
  readonly computeDType: 'float32' | 'bfloat16';
  /** dtype of calibration statistics and factorisations. */
  readonly statisticsDType: 'float32' | 'float64';
  /** Every allocation is rounded up to a multiple of this. */
  readonly allocationBytes: number;
  /** Emulator ranks are stored zero-padded to a multiple of this. */
  readonly rankMultiple: number;
  /** Held from the start for what the driver and libraries take. */
  readonly reserveBytes: number;
  readonly workspaceBytes: WorkspaceBytes;
  /** Whether `gemm` adds a bias itself. Default: no. */
  readonly gemmAddsBias?: boolean;
  /** Whether `eigh` and `cholesky` of float32 take less than of float64. Default: no. */
  readonly factorizesFloat32?: boolean;
  /** Whether products in float64 take about as long as in float32. Default: no. */
  readonly hasFastFloat64?: boolean;
  /** Whether copies on their stream go on beside kernels. Default: no. */
  readonly overlapsCopies?: boolean;
  /**
   * Floating-point operations of products that it makes while the host launches one kernel.
   * Default 0: kernels are not launched apart from the host.
   */
  readonly launchOperations?: number;
}
