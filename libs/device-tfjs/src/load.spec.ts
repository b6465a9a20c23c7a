import { describeTfjs as describeOn } from './describe.js';
import { describeTfjs, tfjsRuntime } from './index.js';
import { holdBackend, type TfjsHost } from './load.js';

/** A machine with these packages: what a package gives, or the error that loading it throws. */
function host(packages: Readonly<Record<string, unknown>>, nodeMajor = 20): TfjsHost {
  return {
    nodeMajor,
    require: (name) => {
      const base = name.replace('/package.json', '');
      if (!(base in packages))
        throw Object.assign(new Error(`Cannot find module '${name}'`), {
          code: 'MODULE_NOT_FOUND',
        });
      const found = packages[base];
      if (found instanceof Error && base === name) throw found;
      return found;
    },
  };
}

function fakeTf({ isUsingGpuDevice = false, starts = true } = {}) {
  let current = '';
  return {
    version: { 'tfjs-node': '4.22.0' },
    env: () => ({ set: () => undefined }),
    setBackend: async (name: string) => {
      if (starts) current = name;
      return starts;
    },
    getBackend: () => current,
    backend: () => ({ isUsingGpuDevice, binding: { TF_Version: '2.9.1' } }),
  };
}

const [gpu, node] = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

describe('TensorFlow.js on a machine', () => {
  it('says what to install, and its limits, where nothing is installed', () => {
    const { problem, description } = describeOn('native', host({}));
    expect(description).toBeNull();
    for (const part of [`${gpu}@4.22.0`, `${node}@4.22.0`, 'CUDA 11', 'Node below 23'])
      expect(problem).toContain(part);
  });

  it('never falls back to plain JavaScript', () => {
    const plain = {
      '@tensorflow/tfjs-core': fakeTf(),
      '@tensorflow/tfjs-backend-cpu': { version_cpu: '4.22.0' },
    };
    expect(describeOn('native', host(plain)).problem).toContain('not installed');
    expect(describeOn('cpu', host(plain))).toMatchObject({
      problem: null,
      description: expect.stringContaining('plain JavaScript'),
    });
  });

  it('takes the GPU package before the other', () => {
    const both = { [gpu]: fakeTf({ isUsingGpuDevice: true }), [node]: fakeTf() };
    expect(describeOn('native', host(both)).description).toBe(
      `TensorFlow 2.9.1 through ${gpu} 4.22.0 on the GPU`,
    );
    expect(describeOn('native', host({ [node]: fakeTf() })).description).toBe(
      `TensorFlow 2.9.1 through ${node} 4.22.0 on the CPU`,
    );
  });

  it('refuses a GPU package that finds no GPU, instead of running on the CPU', () => {
    expect(describeOn('native', host({ [gpu]: fakeTf(), [node]: fakeTf() })).problem).toMatch(
      /finds no GPU.*CUDA 11/,
    );
  });

  it('refuses releases of Node that the packages are broken on', () => {
    expect(describeOn('native', host({ [node]: fakeTf() }, 23)).problem).toContain(
      'does not work with Node 23',
    );
    expect(describeOn('native', host({ [node]: fakeTf() }, 22)).problem).toBeNull();
  });

  it('tells a package that does not load from one that is not there', () => {
    const broken = Object.assign(new Error('libtensorflow.so.2: cannot open shared object file'), {
      code: 'ERR_DLOPEN_FAILED',
    });
    expect(describeOn('native', host({ [node]: broken })).problem).toMatch(
      /tfjs-node does not load: libtensorflow/,
    );
    const incomplete = Object.assign(new Error("Cannot find module 'long'"), {
      code: 'MODULE_NOT_FOUND',
    });
    expect(describeOn('native', host({ [node]: incomplete })).problem).toContain(
      "does not load: Cannot find module 'long'",
    );
    expect(describeOn('native', host({ [node]: fakeTf({ starts: false }) })).problem).toContain(
      'does not start',
    );
  });

  it('runs one backend a process', () => {
    const release = holdBackend('cpu');
    expect(describeOn('native', host({ [node]: fakeTf() })).problem).toContain('"cpu" is in use');
    expect(describeTfjs('cpu').problem).toBeNull();
    release();
    expect(describeOn('native', host({ [node]: fakeTf() })).problem).toBeNull();
  });

  it('says that its memory is counted and not capped', () => {
    expect(describeTfjs('cpu').memory).toMatch(/counted.*cannot be capped/);
  });

  it('knows its names', () => {
    expect(['tfjs', 'tfjs:cpu', 'tfjs:gpu', 'cpu'].map(tfjsRuntime)).toEqual([
      'native',
      'cpu',
      null,
      null,
    ]);
  });
});
