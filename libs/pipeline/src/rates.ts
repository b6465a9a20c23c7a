import type { KernelName } from '@emloc/device';
