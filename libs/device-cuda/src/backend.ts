import {
  type Backend,
  type DeviceEvent,
  type DeviceProfile,
  type HostArray,
  type HostBuffer,
  type HostValues,
  type Kernels,
  type StreamName,
  type Tensor,
} from '@emloc/device';

import type { CudaContext } from './context.js';
import { operations } from './kernels/index.js';
import { Marks } from './marks.js';
import type { CudaMemory } from './memory.js';
import { GraphRecorder, type GraphUse } from './recorder.js';
import type { CardMemory, CudaSession } from './session.js';
import type { CudaEvent } from './streams.js';

/** The CUDA device behind the Device interface. */
export interface CudaBackend extends Backend<CudaMemory> {
  readonly card: CudaSession['card'];
  readonly session: CudaSession;
  /** What is taken on the card now, as the driver sees it. */
  measureMemory(): CardMemory;
  /** Times on the compute stream. */
  readonly marks: Marks;
  readonly graphUse: GraphUse;
}

export class CudaDeviceBackend implements CudaBackend {
  readonly kernels: Kernels;
  readonly marks: Marks;
  readonly recorder: GraphRecorder | null;

  constructor(
    readonly profile: DeviceProfile,
    readonly session: CudaSession,
    { useGraphs }: { readonly useGraphs: boolean },
  ) {
    this.kernels = bindKernels(session);
    this.recorder = useGraphs ? createRecorder(session) : null;
    this.marks = new Marks(session.libraries.driver, session.context.streams);
  }

  get card(): CudaSession['card'] {
    return this.session.card;
  }

  get graphUse(): GraphUse {
    return this.recorder?.use ?? { recorded: 0, launched: 0 };
  }

  measureMemory(): CardMemory {
    return this.session.measureMemory();
  }

  allocate(bytes: number): CudaMemory {
    this.session.activate();
    return this.session.context.pool.allocate(bytes);
  }

  free(handle: CudaMemory): void {
    if (this.session.isClosed) return; // The card's memory is given back already.
    this.session.activate();
    this.session.context.pool.free(handle);
  }

  upload(destination: Tensor, source: HostArray, stream: StreamName): void {
    this.session.activate();
    this.session.context.transfers.upload(destination, source, stream);
  }

  download(source: Tensor): Promise<HostValues> {
    this.session.activate();
    return this.session.context.transfers.download(source);
  }

  downloadBytes(source: Tensor, destination: Uint8Array): Promise<void> {
    this.session.activate();
    return this.session.context.transfers.downloadBytes(source, destination);
  }

  allocateHost(bytes: number): HostBuffer {
    this.session.activate();
    return this.session.context.transfers.allocateHost(bytes);
  }

  keepHostMemory(bytes: number): void {
    this.session.context.transfers.keepHostMemory(bytes);
  }

  get spareHostBytes(): number {
    return this.session.context.transfers.spareHostBytes;
  }

  record(stream: StreamName): DeviceEvent {
    this.session.activate();
    return this.session.context.streams.record(stream);
  }

  streamWait(stream: StreamName, event: DeviceEvent): void {
    this.session.activate();
    this.session.context.streams.wait(stream, event as CudaEvent);
  }

  synchronize(): Promise<void> {
    this.session.activate();
    return this.session.context.streams.synchronize();
  }

  async close(): Promise<void> {
    if (this.session.isClosed) return;
    await this.synchronize();
    this.marks.close();
    this.session.close();
  }
}

function createRecorder(session: CudaSession): GraphRecorder {
  const { streams, pool } = session.context;
  return new GraphRecorder({
    ...{ driver: session.libraries.driver, streams, pool },
    activate: () => session.activate(),
    isClosed: () => session.isClosed,
  });
}

function bindKernels(session: CudaSession): Kernels {
  const bound = Object.entries(operations).map(([name, operation]) => [
    name,
    (options: never) => {
      session.activate();
      return (operation as (context: CudaContext, options: never) => unknown)(
        session.context,
        options,
      );
    },
  ]);
  return Object.fromEntries(bound) as Kernels;
}
