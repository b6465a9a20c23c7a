import { describeDeviceConformance } from '@emloc/device-conformance';
import { createCpuBackend, describeCpu } from './index.js';

describeDeviceConformance('cpu, portable', () => createCpuBackend({ blas: 'portable' }));

const { library, version, path } = describeCpu({ blas: 'auto' });
if (library === 'portable') {
  test.skip('device conformance with a BLAS: none is installed here (Debian: libopenblas0-pthread; or set EMLOC_BLAS_PATH)', () => undefined);
} else {
  describeDeviceConformance(`cpu, ${library} (${path}, ${version})`, () => createCpuBackend());
}
