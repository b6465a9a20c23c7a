import { DeviceError } from '@emloc/device';

/**
 * Kernels that this device does not have, those of linear attention: TensorFlow.js has no
 * triangular solve.
 */
export const missingKernels = [
  'causalConvolution',
  'causalConvolutionBackward',
  'l2Norm',
  'l2NormBackward',
  'deltaGates',
  'deltaGatesBackward',
  'gatedDeltaRule',
  'gatedDeltaRuleBackward',
] as const;

type MissingKernel = (typeof missingKernels)[number];

/** Refuses their launches with DEVICE_UNSUPPORTED. */
export function refusals(): Readonly<Record<MissingKernel, () => never>> {
  const refuse = (kernel: MissingKernel) => (): never => {
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `tfjs device: it has no ${kernel}, nor other kernels of linear attention`,
    );
  };
  return Object.fromEntries(missingKernels.map((name) => [name, refuse(name)])) as Readonly<
    Record<MissingKernel, () => never>
  >;
}
