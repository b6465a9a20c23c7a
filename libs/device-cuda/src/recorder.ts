import { at } from '@emloc/checked';
import type { LaunchGraph, LaunchRecorder, Tensor } from '@emloc/device';

import type { CudaMemory, CudaMemoryPool, Footprint } from './memory.js';
import { CU_STREAM_CAPTURE_MODE_RELAXED, type Driver } from './native/driver.js';
import { Cell } from './native/status.js';
import type { Streams } from './streams.js';

/** What the card must have free for the driver's part of a graph. */
const leastFreeBytes = 2 ** 26;

/** Graphs of a card since it was opened: how many, and how often any was launched. */
export interface GraphUse {
  readonly recorded: number;
  readonly launched: number;
}

interface RecorderParts {
  readonly driver: Driver;
  readonly streams: Streams;
  readonly pool: CudaMemoryPool;
  /** Called before anything that needs the card's context. */
  activate(): void;
  /** Whether the card was given back, and all graphs with it. */
  isClosed(): boolean;
}

/**
 * Records launches on the compute stream as graphs of the driver. A graph repeats its launches to
 * the byte: functions, grids, parameters, addresses. So it may be launched again only where memory
 * is as it was.
 */
export class GraphRecorder implements LaunchRecorder {
  readonly #use = { recorded: 0, launched: 0 };
  /** Of launches, at `begin`, and the places of the inputs. */
  #started: { readonly position: number; readonly inputs: readonly number[] } | null = null;

  constructor(private readonly parts: RecorderParts) {}

  get use(): GraphUse {
    return { ...this.#use };
  }

  begin(inputs: readonly Tensor[]): boolean {
    const { driver, streams, pool } = this.parts;
    this.parts.activate();
    if (this.#started || this.#freeBytes() < leastFreeBytes) return false;
    driver.cuStreamBeginCapture(streams.handleOf('compute'), CU_STREAM_CAPTURE_MODE_RELAXED);
    this.#started = { position: streams.positionOf('compute'), inputs: offsetsOf(inputs) };
    pool.watch();
    streams.setRecording(() => this.#interrupt());
    return true;
  }

  end(inputs: readonly Tensor[]): LaunchGraph | null {
    const { streams, pool } = this.parts;
    this.parts.activate();
    const started = this.#started;
    if (!started) return null;
    const footprint = pool.endWatch();
    streams.setRecording(null);
    const executable = this.#stop();
    if (executable === null) return null;
    const graph = new CudaGraph(this.parts, executable, {
      onLaunch: () => (this.#use.launched += 1),
      launches: streams.positionOf('compute') - started.position,
      inputs: started.inputs,
      footprint: footprint && without(footprint, inputs),
    });
    this.#use.recorded += 1;
    graph.launch();
    return graph;
  }

  /** Makes what was recorded so far; what follows is launched as ever. */
  #interrupt(): void {
    const { driver, streams, pool } = this.parts;
    pool.endWatch();
    const executable = this.#stop();
    if (executable === null) return;
    driver.cuGraphLaunch(executable, streams.launchHandleOf('compute'));
    driver.cuCtxSynchronize();
    driver.cuGraphExecDestroy(executable);
  }

  /** Ends the capture; null where nothing was launched. */
  #stop(): number | null {
    const { driver, streams } = this.parts;
    const started = this.#started;
    this.#started = null;
    const [graph, executable] = [new Cell(), new Cell()];
    driver.cuStreamEndCapture(streams.launchHandleOf('compute'), graph.raw);
    try {
      if (streams.positionOf('compute') === started?.position) return null;
      driver.cuGraphInstantiate(executable.raw, graph.value, 0);
    } finally {
      driver.cuGraphDestroy(graph.value);
    }
    return executable.value;
  }

  #freeBytes(): number {
    const [free, total] = [new Cell(), new Cell()];
    this.parts.driver.cuMemGetInfo(free.raw, total.raw);
    return free.value;
  }
}

interface GraphRecord {
  readonly launches: number;
  onLaunch(): void;
  readonly inputs: readonly number[];
  /** Null: it was not the work's from beginning to end. */
  readonly footprint: Footprint | null;
}

class CudaGraph implements LaunchGraph {
  #isDisposed = false;

  constructor(
    private readonly parts: RecorderParts,
    private readonly executable: number,
    private readonly record: GraphRecord,
  ) {}

  get launches(): number {
    return this.record.launches;
  }

  fits(inputs: readonly Tensor[]): boolean {
    const { pool } = this.parts;
    const { inputs: places, footprint } = this.record;
    return (
      footprint !== null &&
      inputs.length === places.length &&
      inputs.every(({ handle }, index) => pool.isAt(handle as CudaMemory, at(places, index))) &&
      pool.isAsBefore(footprint)
    );
  }

  launch(): void {
    const { driver, streams, pool } = this.parts;
    this.parts.activate();
    this.record.onLaunch();
    driver.cuGraphLaunch(this.executable, streams.handleOf('compute'));
    streams.advance('compute');
    pool.touchFree();
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    if (this.parts.isClosed()) return;
    this.parts.activate();
    // It may be running.
    this.parts.driver.cuCtxSynchronize();
    this.parts.driver.cuGraphExecDestroy(this.executable);
  }
}

function offsetsOf(tensors: readonly Tensor[]): readonly number[] {
  return tensors.map(({ handle }) => (handle as CudaMemory).allocation.offset);
}

/** The inputs come anew each time: it is their places that count. */
function without({ holes, others }: Footprint, inputs: readonly Tensor[]): Footprint {
  const own = new Set(inputs.map(({ handle }) => handle as CudaMemory));
  return { holes, others: new Map([...others].filter(([memory]) => !own.has(memory))) };
}
