import type { ActivationKind, GatedActivationKind } from '@emloc/device';

import { scratchBytes } from './scratch.js';

/** The numbers of assembly/activation.ts. */
export const activationCodes: Readonly<Record<ActivationKind | GatedActivationKind, number>> = {
  silu: 0,
  quickGelu: 1,
  geluTanh: 2,
  gelu: 3,
  clampedSwiglu: 4,
  sigmoid: 5,
};

/**
 * Elements that go through the WebAssembly memory at once: the buffers stay in the first-level
 * cache.
 */
export const chunkElements = 2048;

export function chunkBytes(size: number): number {
  return Math.ceil(Math.min(size, chunkElements) / 4) * 16;
}

/** Scratch bytes for `buffers` chunks. */
export function chunkScratchBytes(size: number, buffers: number): number {
  return buffers * scratchBytes(chunkBytes(size));
}

/** Lanes past the end compute on what lies there; nobody reads them. */
export function paddedCount(count: number): number {
  return Math.ceil(count / 4) * 4;
}
