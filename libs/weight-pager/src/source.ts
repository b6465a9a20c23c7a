import {
  byteLength,
  elementCount,
  quantizedLayout,
  type Device,
  type DType,
  type HostDType,
  type QuantizedFormat,
} from '@emloc/device';

export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Element type as stored. */
  readonly dtype: HostDType;
  /** Of a leased tensor on the device. Default: its compute dtype. */
  readonly deviceDType?: 'float32';
  /**
   * As what it is held in host memory and on the device, and made whole for a lease. Default: its
   * numbers themselves.
   */
  readonly storage?: QuantizedFormat;
}

export interface LayerSpec {
  readonly name: string;
  readonly tensors: readonly TensorSpec[];
}

/** Layers in a checkpoint. */
export interface LayerSource {
  readonly layers: readonly LayerSpec[];
  /**
   * Fills `destination`, which is exactly as long as the tensor as it is held. May be called
   * several times at once. An error whose `isOfTheData` is true comes out of the pager as it is:
   * the layer could be read, but must not be used. Others become PAGER_READ_FAILED.
   */
  read(layer: number, tensor: string, destination: Uint8Array): Promise<void>;
}

/** Where each tensor of a layer lies in its host buffer. */
export interface HostLayout {
  readonly bytes: number;
  readonly tensors: readonly {
    readonly spec: TensorSpec;
    readonly start: number;
    readonly end: number;
  }[];
}

/** Any element type, and reads into page-cache lines, are aligned to this. */
const hostAlignmentBytes = 64;

/** What a tensor is as it is held in host memory. */
export function heldTensor({
  shape,
  dtype,
  storage,
}: TensorSpec): Pick<TensorSpec, 'shape' | 'dtype'> {
  if (!storage) return { shape, dtype };
  return { shape: [quantizedLayout(elementCount(shape), storage).words], dtype: 'int32' };
}

/** Bytes of a tensor in host memory. */
export function heldBytes(tensor: TensorSpec): number {
  const { shape, dtype } = heldTensor(tensor);
  return byteLength(shape, dtype);
}

/** Stored bytes of a layer, one tensor after another, each aligned. */
export function hostLayout(layer: LayerSpec): HostLayout {
  let bytes = 0;
  const tensors = layer.tensors.map((spec) => {
    const start = bytes;
    const end = start + heldBytes(spec);
    bytes = Math.ceil(end / hostAlignmentBytes) * hostAlignmentBytes;
    return { spec, start, end };
  });
  return { bytes, tensors };
}

/** Bytes that the tensors of a layer have in host memory, without padding. */
export function storedBytes(layer: LayerSpec): number {
  return layer.tensors.reduce((sum, tensor) => sum + heldBytes(tensor), 0);
}

/** Bytes that a layer takes from the device's budget. */
export function deviceBytes(layer: LayerSpec, device: Device): number {
  return layer.tensors.reduce((sum, tensor) => {
    const { shape, dtype } = residentTensor(tensor, device);
    return sum + device.allocatedBytes(shape, dtype);
  }, 0);
}

/** What a tensor is as it is held on a device. */
export function residentTensor(
  tensor: TensorSpec,
  device: Device,
): { readonly shape: readonly number[]; readonly dtype: DType } {
  if (tensor.storage) return { shape: heldTensor(tensor).shape, dtype: 'int32' };
  return { shape: tensor.shape, dtype: deviceDTypeOf(tensor, device) };
}

/** Bytes that all layers together would take, were none of their tensors held small. */
export function wholeDeviceBytes({ layers }: LayerSource, device: Device): number {
  return layers
    .flatMap(({ tensors }) => tensors)
    .reduce(
      (sum, tensor) => sum + device.allocatedBytes(tensor.shape, deviceDTypeOf(tensor, device)),
      0,
    );
}

/** What the numbers of a leased tensor are. */
export function deviceDTypeOf({ deviceDType }: TensorSpec, { profile }: Device) {
  return deviceDType ?? profile.computeDType;
}

/** Bytes that all layers together take from the device's budget. */
export function allDeviceBytes({ layers }: LayerSource, device: Device): number {
  return layers.reduce((sum, layer) => sum + deviceBytes(layer, device), 0);
}

/** Two slots: the largest layer beside the next largest one. */
export function twoLargest(sizes: readonly number[]): number {
  const descending = [...sizes].sort((a, b) => b - a);
  return (descending.at(0) ?? 0) + (descending.at(1) ?? 0);
}

/**
 * The smallest `deviceBytes` with which every layer fits beside any other, so that one arrives
 * while another computes.
 */
export function minimumDeviceBytes(source: LayerSource, device: Device): number {
  return twoLargest(source.layers.map((layer) => deviceBytes(layer, device)));
}

/** Layers that are read ahead, uploaded and awaited at once where each is used only once. */
const streamedLayers = 4;

/**
 * What host memory a pager needs so that layers that are used once stream at full speed: more would
 * only be filled and given back. At most `share` of `limitBytes`, for pagers that are open at once,
 * except that the largest layer must have room.
 */
export function streamingHostBytes(source: LayerSource, limitBytes: number, share = 1): number {
  const largest = source.layers.reduce((most, layer) => Math.max(most, hostLayout(layer).bytes), 1);
  return Math.min(
    limitBytes,
    Math.max(largest, Math.min(share * limitBytes, streamedLayers * largest)),
  );
}
