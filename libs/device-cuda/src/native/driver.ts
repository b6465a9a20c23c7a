import koffi from 'koffi';

import { checkAll } from './status.js';

/**
 * The CUDA driver, libcuda.so.1. Handles and device addresses are plain integers (`uint64_t`), so
 * JavaScript numbers go in; `void *` parameters take typed arrays, which the driver reads or fills
 * during the call. Symbols carry the driver's ABI suffixes, as cuda.h maps them.
 */
const declarations = {
  // Initialisation, devices, contexts
  cuInit: 'int cuInit(uint32_t flags)',
  cuDriverGetVersion: 'int cuDriverGetVersion(void *version)',
  cuDeviceGetCount: 'int cuDeviceGetCount(void *count)',
  cuDeviceGet: 'int cuDeviceGet(void *device, int ordinal)',
  cuDeviceGetName: 'int cuDeviceGetName(void *name, int length, int device)',
  cuDeviceGetUuid: 'int cuDeviceGetUuid_v2(void *uuid, int device)',
  cuDeviceGetAttribute: 'int cuDeviceGetAttribute(void *value, int attribute, int device)',
  cuDeviceGetPCIBusId: 'int cuDeviceGetPCIBusId(void *busId, int length, int device)',
  cuDeviceTotalMem: 'int cuDeviceTotalMem_v2(void *bytes, int device)',
  cuDevicePrimaryCtxRetain: 'int cuDevicePrimaryCtxRetain(void *context, int device)',
  cuDevicePrimaryCtxRelease: 'int cuDevicePrimaryCtxRelease_v2(int device)',
  cuCtxSetCurrent: 'int cuCtxSetCurrent(uint64_t context)',
  cuCtxSynchronize: 'int cuCtxSynchronize()',
  // Memory
  cuMemGetInfo: 'int cuMemGetInfo_v2(void *free, void *total)',
  cuMemAlloc: 'int cuMemAlloc_v2(void *address, uint64_t bytes)',
  cuMemFree: 'int cuMemFree_v2(uint64_t address)',
  cuMemHostAlloc: 'int cuMemHostAlloc(void *pointer, uint64_t bytes, uint32_t flags)',
  cuMemFreeHost: 'int cuMemFreeHost(uint64_t pointer)',
  cuMemHostRegister: 'int cuMemHostRegister_v2(uint64_t pointer, uint64_t bytes, uint32_t flags)',
  cuMemHostUnregister: 'int cuMemHostUnregister(uint64_t pointer)',
  cuMemcpyHtoDAsync:
    'int cuMemcpyHtoDAsync_v2(uint64_t destination, uint64_t source, uint64_t bytes, uint64_t stream)',
  cuMemcpyDtoHAsync:
    'int cuMemcpyDtoHAsync_v2(uint64_t destination, uint64_t source, uint64_t bytes, uint64_t stream)',
  cuMemcpyDtoDAsync:
    'int cuMemcpyDtoDAsync_v2(uint64_t destination, uint64_t source, uint64_t bytes, uint64_t stream)',
  // Virtual memory management
  cuMemGetAllocationGranularity:
    'int cuMemGetAllocationGranularity(void *granularity, void *properties, int option)',
  cuMemAddressReserve:
    'int cuMemAddressReserve(void *address, uint64_t bytes, uint64_t alignment, uint64_t hint, uint64_t flags)',
  cuMemAddressFree: 'int cuMemAddressFree(uint64_t address, uint64_t bytes)',
  cuMemCreate: 'int cuMemCreate(void *handle, uint64_t bytes, void *properties, uint64_t flags)',
  cuMemRelease: 'int cuMemRelease(uint64_t handle)',
  cuMemMap:
    'int cuMemMap(uint64_t address, uint64_t bytes, uint64_t offset, uint64_t handle, uint64_t flags)',
  cuMemUnmap: 'int cuMemUnmap(uint64_t address, uint64_t bytes)',
  cuMemSetAccess:
    'int cuMemSetAccess(uint64_t address, uint64_t bytes, void *descriptors, uint64_t count)',
  // Streams and events
  cuStreamCreate: 'int cuStreamCreate(void *stream, uint32_t flags)',
  cuStreamDestroy: 'int cuStreamDestroy_v2(uint64_t stream)',
  cuStreamWaitEvent: 'int cuStreamWaitEvent(uint64_t stream, uint64_t event, uint32_t flags)',
  cuEventCreate: 'int cuEventCreate(void *event, uint32_t flags)',
  cuEventDestroy: 'int cuEventDestroy_v2(uint64_t event)',
  cuEventRecord: 'int cuEventRecord(uint64_t event, uint64_t stream)',
  cuEventSynchronize: 'int cuEventSynchronize(uint64_t event)',
  cuEventElapsedTime: 'int cuEventElapsedTime(void *milliseconds, uint64_t start, uint64_t end)',
  // Graphs
  cuStreamBeginCapture: 'int cuStreamBeginCapture_v2(uint64_t stream, int mode)',
  cuStreamEndCapture: 'int cuStreamEndCapture(uint64_t stream, void *graph)',
  cuGraphInstantiate:
    'int cuGraphInstantiateWithFlags(void *executable, uint64_t graph, uint64_t flags)',
  cuGraphLaunch: 'int cuGraphLaunch(uint64_t executable, uint64_t stream)',
  cuGraphDestroy: 'int cuGraphDestroy(uint64_t graph)',
  cuGraphExecDestroy: 'int cuGraphExecDestroy(uint64_t executable)',
  // Modules and launches
  cuModuleLoadData: 'int cuModuleLoadData(void *module, void *image)',
  cuModuleUnload: 'int cuModuleUnload(uint64_t module)',
  cuModuleGetFunction: 'int cuModuleGetFunction(void *function, uint64_t module, const char *name)',
  cuFuncSetAttribute: 'int cuFuncSetAttribute(uint64_t function, int attribute, int value)',
  cuTensorMapEncodeTiled:
    'int cuTensorMapEncodeTiled(uint64_t map, int type, uint32_t rank, uint64_t address, void *extents, void *strides, void *box, ' +
    'void *elementStrides, int interleave, int swizzle, int promotion, int fill)',
  cuLaunchKernel:
    'int cuLaunchKernel(uint64_t function, uint32_t gridX, uint32_t gridY, uint32_t gridZ, uint32_t blockX, uint32_t blockY, ' +
    'uint32_t blockZ, uint32_t sharedBytes, uint64_t stream, uint64_t parameters, uint64_t extra)',
} as const;

/** cuMemHostAlloc and cuMemHostRegister: page-locked for every context. */
export const CU_MEMHOSTALLOC_PORTABLE = 1;
export const CU_STREAM_NON_BLOCKING = 1;
/** Other threads and calls that put nothing on the stream go on as ever. */
export const CU_STREAM_CAPTURE_MODE_RELAXED = 2;
export const CU_EVENT_DEFAULT = 0;
export const CU_EVENT_DISABLE_TIMING = 2;
export const CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8;
export const CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16;
export const CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75;
export const CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76;
export const CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED = 102;
export const CU_LAUNCH_PARAM_BUFFER_POINTER = 1;
export const CU_LAUNCH_PARAM_BUFFER_SIZE = 2;
export const CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 = 9;
export const CU_TENSOR_MAP_INTERLEAVE_NONE = 0;
export const CU_TENSOR_MAP_SWIZZLE_128B = 3;
export const CU_TENSOR_MAP_L2_PROMOTION_L2_256B = 3;
export const CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE = 0;

const CUDA_ERROR_NOT_READY = 600;

type Call = (...args: readonly unknown[]) => number;
type DriverCalls = Readonly<
  Record<keyof typeof declarations, (...args: readonly unknown[]) => void>
>;

/** The driver's functions, each throwing a DeviceError for a status other than success. */
export interface Driver extends DriverCalls {
  /** False while work before the event is still running. */
  isEventDone(event: number): boolean;
}

/** @throws Error from koffi when the file cannot be loaded or lacks a function. */
export function loadDriver(path: string): Driver {
  const library = koffi.load(path);
  const getErrorName = library.func('int cuGetErrorName(int status, _Out_ const char **name)');
  const describe = (status: number): string => {
    const name: [string | null] = [null];
    return getErrorName(status, name) === 0 ? `${name[0]} (${status})` : `status ${status}`;
  };
  const functions = Object.fromEntries(
    Object.entries(declarations).map(([name, declaration]) => [name, library.func(declaration)]),
  ) as unknown as Record<keyof typeof declarations, Call>;
  const query = { cuEventQuery: library.func('int cuEventQuery(uint64_t event)') as Call };
  const checkedQuery = checkAll('cuda', { cuEventQuery: query.cuEventQuery }, describe);
  return {
    ...checkAll('cuda', functions, describe),
    isEventDone(event) {
      const status = query.cuEventQuery(event);
      if (status !== 0 && status !== CUDA_ERROR_NOT_READY) checkedQuery.cuEventQuery(event);
      return status === 0;
    },
  };
}

/** Native memory as an ArrayBuffer; it does not keep the memory alive. */
export function viewMemory(address: number, bytes: number): ArrayBuffer {
  return koffi.view(BigInt(address), bytes);
}
