import { readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import koffi from 'koffi';

import { checkAll } from './status.js';

/** NVRTC, the run-time compiler, libnvrtc.so.12 or .13. It needs no GPU. */
const declarations = {
  nvrtcVersion: 'int nvrtcVersion(void *major, void *minor)',
  nvrtcGetNumSupportedArchs: 'int nvrtcGetNumSupportedArchs(void *count)',
  nvrtcGetSupportedArchs: 'int nvrtcGetSupportedArchs(void *architectures)',
  nvrtcCreateProgram:
    'int nvrtcCreateProgram(void *program, const char *source, const char *name, int headers, uint64_t headerSources, uint64_t headerNames)',
  nvrtcDestroyProgram: 'int nvrtcDestroyProgram(void *program)',
  nvrtcCompileProgram:
    'int nvrtcCompileProgram(uint64_t program, int options, const char **values)',
  nvrtcGetProgramLogSize: 'int nvrtcGetProgramLogSize(uint64_t program, void *bytes)',
  nvrtcGetProgramLog: 'int nvrtcGetProgramLog(uint64_t program, void *log)',
  nvrtcGetCUBINSize: 'int nvrtcGetCUBINSize(uint64_t program, void *bytes)',
  nvrtcGetCUBIN: 'int nvrtcGetCUBIN(uint64_t program, void *image)',
  nvrtcGetPTXSize: 'int nvrtcGetPTXSize(uint64_t program, void *bytes)',
  nvrtcGetPTX: 'int nvrtcGetPTX(uint64_t program, void *image)',
} as const;

export type Nvrtc = Readonly<
  Record<keyof typeof declarations, (...args: readonly unknown[]) => void>
>;

/**
 * NVRTC opens `libnvrtc-builtins` by its bare name, which the loader finds outside its own folders
 * only when it is loaded already.
 * @throws Error from koffi when the file cannot be loaded or lacks a function.
 */
export function loadNvrtc(path: string): Nvrtc {
  for (const file of [path, realpathSync(path)].flatMap(builtinsBeside)) koffi.load(file);
  const library = koffi.load(path);
  const getErrorString = library.func('const char *nvrtcGetErrorString(int status)');
  const functions = Object.fromEntries(
    Object.entries(declarations).map(([name, declaration]) => [name, library.func(declaration)]),
  ) as unknown as Record<keyof typeof declarations, (...args: readonly unknown[]) => number>;
  return checkAll('nvrtc', functions, (status) => `${getErrorString(status)} (${status})`);
}

function builtinsBeside(path: string): string[] {
  const folder = dirname(path);
  return readdirSync(folder)
    .filter((name) => /^libnvrtc-builtins\.so\.\d+\.\d+$/.test(name))
    .map((name) => join(folder, name));
}
