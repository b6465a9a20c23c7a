import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { DeviceError } from '@emloc/device';

import type { Tf } from './memory.js';

/** The packages that drive TensorFlow itself, the first that is installed counts. */
const nativePackages = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

/** First Node release in which those packages do not work: they call what it has removed. */
const brokenSinceNode = 23;

const howToInstall =
  'npm install @tensorflow/tfjs-node-gpu@4.22.0 (an NVIDIA GPU with CUDA 11 and cuDNN 8), or @tensorflow/tfjs-node@4.22.0 (TensorFlow on ' +
  `the CPU); both need a Node below ${brokenSinceNode}`;

/**
 * 'native': TensorFlow through tfjs-node-gpu or tfjs-node. 'cpu': TensorFlow.js's own plain
 * JavaScript, slow, for tests.
 */
export type TfjsRuntime = 'native' | 'cpu';

/** A TensorFlow.js that is loaded, with its backend set. */
export interface LoadedTfjs {
  readonly tf: Tf;
  /** Name of the backend inside TensorFlow.js. */
  readonly backend: string;
  /** Packages, versions and what computes; equal bytes are promised for equal descriptions. */
  readonly description: string;
}

/**
 * What a machine has to offer; a function of it decides, so that machines that are not here can be
 * tested.
 */
export interface TfjsHost {
  readonly nodeMajor: number;
  /**
   * Loads a package.
   * @throws Error with the code MODULE_NOT_FOUND where there is none, others as they come
   */
  require(name: string): unknown;
}

/**
 * This process. `EMLOC_TFJS_PATH` names a folder whose node_modules is searched instead of the
 * program's.
 */
export function processHost(): TfjsHost {
  const folder = process.env.EMLOC_TFJS_PATH;
  return {
    nodeMajor: Number(process.versions.node.split('.')[0]),
    require: createRequire(folder ? join(folder, 'package.json') : import.meta.url),
  };
}

/** @throws DeviceError DEVICE_UNAVAILABLE, saying what to install */
export function loadTfjs(runtime: TfjsRuntime, host: TfjsHost = processHost()): LoadedTfjs {
  const loaded = runtime === 'cpu' ? loadPlain(host) : loadNative(host);
  // Warnings about a plain JavaScript backend, and checks of every value, are for those who develop
  // models with it.
  loaded.tf.env().set('PROD', true);
  return loaded;
}

function loadPlain(host: TfjsHost): LoadedTfjs {
  const tf = requirePackage(host, '@tensorflow/tfjs-core') as Tf | null;
  const backend = requirePackage(host, '@tensorflow/tfjs-backend-cpu') as {
    version_cpu: string;
  } | null;
  if (!tf || !backend)
    throw unavailable(
      'npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0: its plain JavaScript, for tests, is not installed',
    );
  setBackend(tf, 'cpu');
  return {
    tf,
    backend: 'cpu',
    description: `plain JavaScript of TensorFlow.js ${backend.version_cpu}`,
  };
}

interface NativeTf extends Tf {
  readonly version: Readonly<Record<string, string>>;
}

/** What tfjs-node's backend says of itself. */
interface NodeBackend {
  readonly isUsingGpuDevice?: boolean;
  readonly binding?: { readonly TF_Version: string };
}

function loadNative(host: TfjsHost): LoadedTfjs {
  const name = nativePackages.find((candidate) => isInstalled(host, candidate));
  if (!name) throw unavailable(`TensorFlow.js for Node is not installed: ${howToInstall}`);
  if (host.nodeMajor >= brokenSinceNode)
    throw unavailable(
      `${name} does not work with Node ${host.nodeMajor}: it needs a Node below ${brokenSinceNode}`,
    );
  const tf = requirePackage(host, name) as NativeTf;
  setBackend(tf, 'tensorflow');
  const { isUsingGpuDevice = false, binding } = tf.backend() as NodeBackend;
  if (name === '@tensorflow/tfjs-node-gpu' && !isUsingGpuDevice) {
    throw unavailable(
      `${name} is installed and finds no GPU that it can use (CUDA 11 and cuDNN 8 are needed); for TensorFlow on the CPU install @tensorflow/tfjs-node in its place`,
    );
  }
  return {
    tf,
    backend: 'tensorflow',
    description: `TensorFlow ${binding?.TF_Version ?? ''} through ${name} ${tf.version['tfjs-node'] ?? ''} on the ${isUsingGpuDevice ? 'GPU' : 'CPU'}`,
  };
}

function isInstalled({ require: load }: TfjsHost, name: string): boolean {
  try {
    load(`${name}/package.json`);
    return true;
  } catch {
    return false;
  }
}

/** null where the package is not installed. @throws DeviceError where it is, and does not load */
function requirePackage({ require: load }: TfjsHost, name: string): unknown {
  try {
    return load(name);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'MODULE_NOT_FOUND' && message.includes(`'${name}'`)) return null;
    throw unavailable(`${name} does not load: ${message}`, cause);
  }
}

/** TensorFlow.js has one backend a process, whatever packages it was loaded from. */
let held: { readonly backend: string; count: number } | null = null;

/** Keeps the backend until the function that is returned is called, once. */
export function holdBackend(backend: string): () => void {
  held ??= { backend, count: 0 };
  const holding = held;
  holding.count += 1;
  return () => {
    holding.count -= 1;
    if (holding.count === 0) held = null;
  };
}

function setBackend(tf: Tf, name: string): void {
  if (held && held.backend !== name)
    throw unavailable(`TensorFlow.js runs one backend a process, and "${held.backend}" is in use`);
  void tf.setBackend(name);
  if (tf.getBackend() !== name)
    throw unavailable(`the backend "${name}" of TensorFlow.js does not start`);
}

function unavailable(message: string, cause?: unknown): DeviceError {
  return new DeviceError('DEVICE_UNAVAILABLE', message, { cause });
}
