import { TensorScope, type Device } from '@emloc/device';

/**
 * Bytes of a converted piece of a weight, unless told otherwise: enough rows for fast products at
 * any width that models have.
 */
const defaultPieceBytes = 32 * 2 ** 20;

/** A scope of a computation that goes through matrices piece by piece. */
export class PieceScope extends TensorScope {
  constructor(
    device: Device,
    label: string,
    /** What a piece may take. */
    readonly pieceBytes: number = defaultPieceBytes,
  ) {
    super(device, label);
  }
}
