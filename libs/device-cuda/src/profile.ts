import type { DeviceProfile } from '@emloc/device';

import { allocationBytes } from './context.js';
import { adamwScratchBytes } from './kernels/adamw.js';
import { attentionScratchBytes } from './kernels/attention-wide.js';
import { attentionBackwardScratchBytes } from './kernels/attention.js';
import { choleskyScratchBytes } from './kernels/cholesky.js';
import { decodeAttentionScratchBytes } from './kernels/decode-attention.js';
import { eighScratchBytes } from './kernels/eigh.js';
import {
  gatedDeltaRuleBackwardScratchBytes,
  gatedDeltaRuleScratchBytes,
} from './kernels/gated-delta-rule-plan.js';
import { gramScratchBytes } from './kernels/gram.js';
import { groupNormScratchBytes } from './kernels/group-norm.js';
import { outerProductsScratchBytes } from './kernels/outer-products.js';
import { prodigyMomentsScratchBytes } from './kernels/prodigy-moments.js';
import { prodigyUpdateScratchBytes } from './kernels/prodigy-update.js';
import { squaredNormsScratchBytes } from './kernels/squared-norms.js';

export interface CudaProfileOptions {
  /** What the card is called in reports. Default 'cuda'. */
  readonly name?: string;
  /**
   * Default float64: exact enough for every statistic; float32 halves their memory and is faster on
   * cards with slow float64.
   */
  readonly statisticsDType?: 'float32' | 'float64';
  /**
   * What context, libraries and this package's own buffers take on the card. Default: see
   * `defaultReserveBytes`.
   */
  readonly reserveBytes?: number;
  /** Default: as cards of data centers have it. */
  readonly hasFastFloat64?: boolean;
  /** See `launchOperationsOf`. Default: an H200's. */
  readonly launchOperations?: number;
}

/** cuBLAS's workspace: what NVIDIA advises for Hopper, enough for every card. */
export const cublasWorkspaceBytes = 2 ** 25;
/** Where uploads of another dtype land before conversion, for each stream. */
export const conversionBytes = 2 ** 23;
/** What is rounded up to whole pages, and what is left to chance. */
export const reserveSlackBytes = 2 ** 25;

/**
 * Measured on an H200 (driver 580, CUDA 13.0): context 524 MiB, buffers above 48, cuBLAS 70,
 * cuSOLVER 96, kernels loaded later 8; 746 MiB together, and room for what differs on other cards.
 */
export const defaultReserveBytes = 7 * 2 ** 27;

/** Of an H200, which reaches about half of its peak, beside a host that takes 16 µs a launch. */
const defaultLaunchOperations = 8e9;

/** Memory behaviour of the CUDA device, for planning on any machine. */
export function cudaProfile(options: CudaProfileOptions = {}): DeviceProfile {
  const {
    name = 'cuda',
    statisticsDType = 'float64',
    reserveBytes = defaultReserveBytes,
    hasFastFloat64 = true,
    launchOperations = defaultLaunchOperations,
  } = options;
  return Object.freeze({
    name,
    computeDType: 'bfloat16',
    statisticsDType,
    allocationBytes,
    rankMultiple: 64,
    reserveBytes,
    gemmAddsBias: true,
    factorizesFloat32: true,
    hasFastFloat64,
    overlapsCopies: true,
    launchOperations,
    workspaceBytes: Object.freeze({
      attention: attentionScratchBytes,
      attentionBackward: attentionBackwardScratchBytes,
      decodeAttention: decodeAttentionScratchBytes,
      gatedDeltaRule: gatedDeltaRuleScratchBytes,
      gatedDeltaRuleBackward: gatedDeltaRuleBackwardScratchBytes,
      outerProducts: outerProductsScratchBytes,
      squaredNorms: squaredNormsScratchBytes,
      adamw: adamwScratchBytes,
      prodigyMoments: prodigyMomentsScratchBytes,
      prodigyUpdate: prodigyUpdateScratchBytes,
      groupNorm: groupNormScratchBytes,
      gram: gramScratchBytes,
      eigh: eighScratchBytes,
      cholesky: choleskyScratchBytes,
    }),
  });
}
