import { describeDeviceConformance } from '@emloc/device-conformance';

import { createTfjsBackend, describeTfjs } from './index.js';
import { missingKernels } from './missing-kernels.js';

const noDType =
  'TensorFlow.js has no bfloat16 and no float64; float32 and int32 are all that a job on this device allocates';

const noLinearAttention =
  'TensorFlow.js has no triangular solve: no kernel of linear attention is there';

const gaps = {
  'upload: converts float16 to every float dtype': noDType,
  'upload: converts bfloat16 to every float dtype': noDType,
  'upload: converts float32 to every float dtype, rounding to even': noDType,
  'upload: converts float64 to float64': noDType,
  'download: gives values, bfloat16 widened, and raw bytes': noDType,
  'cast: converts between all float dtypes, special values included': noDType,
  'cast: reads row views': noDType,
  ...Object.fromEntries(missingKernels.map((name) => [name, noLinearAttention])),
  'workspace: of causalConvolution is what the profile declares, for the call only':
    noLinearAttention,
  'workspace: of causalConvolutionBackward is what the profile declares, for the call only':
    noLinearAttention,
  'workspace: of gatedDeltaRule is what the profile declares, for the call only': noLinearAttention,
  'workspace: of gatedDeltaRuleBackward is what the profile declares, for the call only':
    noLinearAttention,
  'determinism: the gated delta rule and its backward': noLinearAttention,
};

const { description, problem } = describeTfjs('native');
describeDeviceConformance(
  {
    'plain JavaScript': () => createTfjsBackend('cpu'),
    ...(description !== null && { [description]: () => createTfjsBackend('native') }),
  },
  { gaps },
);
if (problem !== null) test.skip(`device conformance of tfjs, native: ${problem}`, () => undefined);
