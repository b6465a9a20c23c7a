/**
 * What a reader knows of a tensor before its bytes come. The store does not interpret dtype and
 * shape.
 */
export interface TensorHeader {
  readonly name: string;
  /** As in `@emloc/device`: float32, bfloat16, int32. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** A tensor that can be read by ranges, in any order and more than once. */
export interface TensorSource extends TensorHeader {
  /** Fills `target` with the bytes from `offsetBytes` on. */
  read(offsetBytes: number, target: Uint8Array): Promise<void> | void;
}

/** Takes a tensor by ranges, in order. */
export interface TensorSink {
  /** `bytes` belong to the store again once this has returned or resolved. */
  write(offsetBytes: number, bytes: Uint8Array): Promise<void> | void;
}
