import { TensorScope, type Device, type Tensor } from '@emloc/device';

/**
 * Bytes of a converted piece of a weight, unless told otherwise: enough rows for fast products at
 * any width that models have.
 */
const defaultPieceBytes = 32 * 2 ** 20;

interface PieceScopeOptions {
  /** What a piece may take. */
  readonly pieceBytes?: number;
  /** dtype of the computation's matrices. Default: that of the device's statistics. */
  readonly dtype?: 'float32' | 'float64';
}

/** A scope of a computation in one dtype that goes through matrices piece by piece. */
export class PieceScope extends TensorScope {
  readonly pieceBytes: number;
  readonly dtype: 'float32' | 'float64';

  constructor(
    device: Device,
    label: string,
    {
      pieceBytes = defaultPieceBytes,
      dtype = device.profile.statisticsDType,
    }: PieceScopeOptions = {},
  ) {
    super(device, label);
    this.pieceBytes = pieceBytes;
    this.dtype = dtype;
  }

  /** A tensor of the computation's dtype. */
  matrix(shape: readonly number[], label: string): Tensor {
    return this.allocate({ shape, dtype: this.dtype, label });
  }

  /** A tensor of the computation's dtype with these values. */
  uploadMatrix(
    values: Float32Array | Float64Array,
    shape: readonly number[],
    label: string,
  ): Tensor {
    return this.upload(values, { shape, dtype: this.dtype, label });
  }
}
