import type { HostFactorizations } from '@emloc/device-cpu';

import type { TensorMemory, Tf } from './memory.js';

/** What kernels work with. Launched kernels run inside `tf.tidy`. */
export interface TfjsContext {
  readonly tf: Tf;
  readonly memory: TensorMemory;
  readonly factorizations: HostFactorizations;
}
