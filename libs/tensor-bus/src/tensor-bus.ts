/**
 * What a receiver knows of a tensor before its bytes come. The bus does not interpret dtype and
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

/** Takes a tensor by ranges, in any order; a range may come again with the same bytes. */
export interface TensorSink {
  /** `bytes` belong to the bus again once this has returned or resolved. */
  write(offsetBytes: number, bytes: Uint8Array): Promise<void> | void;
  /** Called once, when every byte is written and before the sender is told. */
  close?(): Promise<void> | void;
}

/** The tensors of one layer on their way out. */
export interface OutgoingLayer {
  /** Tokens of letters, digits, `_` and `-`, joined by dots: `job-1.statistics`. */
  readonly channel: string;
  readonly layer: number;
  readonly tensors: readonly TensorSource[];
  /** Small facts that travel with the header, such as a fencing token or a row count. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** A layer that has arrived; its bytes come when `read` is called, and not before. */
export interface IncomingLayer {
  readonly channel: string;
  readonly layer: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly tensors: readonly TensorHeader[];
  /**
   * Moves all bytes into the sinks, then lets the sender's `send` resolve. Once.
   * @throws TensorBusError; what a sink throws becomes the sender's TENSOR_BUS_REJECTED and is
   * thrown here too
   */
  read(sinkOf: (tensor: TensorHeader, index: number) => TensorSink): Promise<void>;
  /** `read` into fresh buffers, one a tensor. */
  toMemory(): Promise<Uint8Array[]>;
  /** Refuses the layer: the sender's `send` fails with TENSOR_BUS_REJECTED. */
  reject(reason: string): void;
}

export interface ReceiveOptions {
  readonly signal?: AbortSignal;
  /**
   * Receivers of one group share a channel: each layer goes to one of them. Without it every
   * channel has one receiver.
   */
  readonly group?: string;
}

/**
 * Layer tensors between stages. The stages know this interface only; see
 * `createInProcessTensorBus`, `createNatsTensorBus`.
 */
export interface TensorBus {
  /**
   * Resolves when a receiver has every byte (durable bus: when every byte is stored). Waits for a
   * receiver, and while the receiver is slow, with a bounded number of chunks in memory.
   * @throws TensorBusError
   */
  send(layer: OutgoingLayer, options?: { signal?: AbortSignal }): Promise<void>;
  /**
   * Layers in order of arrival; ends when `signal` aborts, on `break`, or when the bus closes. A
   * layer that is not read before the next is asked for is rejected.
   */
  receive(channel: string, options?: ReceiveOptions): AsyncIterableIterator<IncomingLayer>;
  /** Fails what is in flight with TENSOR_BUS_CLOSED. */
  close(): Promise<void>;
}

/** What the bus tells its owner's metrics. Called often: cheap, and never throws. */
export interface TensorBusObserver {
  chunk?(direction: 'sent' | 'received', bytes: number): void;
  retransmitted?(chunks: number): void;
  /** A layer is through; `bytes` of tensors in `milliseconds` from offer to acknowledgement. */
  layer?(direction: 'sent' | 'received', bytes: number, milliseconds: number): void;
}
