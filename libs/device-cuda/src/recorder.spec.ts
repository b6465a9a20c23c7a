import { Tensor } from '@emloc/device';

import { CudaMemoryPool, type CudaMemory } from './memory.js';
import type { Driver } from './native/driver.js';
import { GraphRecorder } from './recorder.js';
import { Streams } from './streams.js';

const kibibyte = 2 ** 10;

/** What tests look at among the calls of the driver; the others do nothing. */
const watched = ['Begin', 'End', 'Instantiate', 'Launch', 'ExecDestroy', 'EventRecord', 'CtxSync'];

/** A driver without a card: handles are counted up, and calls are noted by name. */
function createDriver({ freeBytes = 2 ** 30 } = {}) {
  const calls: string[] = [];
  let handles = 0;
  const fills = new Set([
    ...['cuStreamCreate', 'cuEventCreate', 'cuStreamEndCapture', 'cuGraphInstantiate'],
    'cuMemAlloc',
  ]);
  const driver = new Proxy({} as Driver, {
    get: (_, property) => {
      const name = String(property);
      return (...args: readonly unknown[]) => {
        const cell = args.find((value) => value instanceof BigUint64Array);
        if (name === 'cuStreamEndCapture') (args[1] as BigUint64Array)[0] = BigInt((handles += 1));
        else if (fills.has(name) && cell) cell[0] = BigInt((handles += 1));
        if (name === 'cuMemGetInfo' && cell) cell[0] = BigInt(freeBytes);
        if (watched.some((part) => name.includes(part))) calls.push(name);
      };
    },
  });
  return { driver, calls };
}

function setUp(options: { freeBytes?: number } = {}) {
  const { driver, calls } = createDriver(options);
  const streams = new Streams(driver);
  const pool = new CudaMemoryPool(driver, 0, {
    ...{ extentBytes: 64 * kibibyte, streams, bounce: { address: 0, bytes: kibibyte } },
  });
  const state = { isClosed: false };
  const recorder = new GraphRecorder({
    ...{ driver, streams, pool, activate: () => undefined, isClosed: () => state.isClosed },
  });
  const tensor = (bytes = kibibyte): Tensor<CudaMemory> => {
    const memory = pool.allocate(bytes);
    return new Tensor([bytes / 4], 'float32', 'tensor', memory, () => pool.free(memory));
  };
  /** A launch that reads or writes these. */
  const launch = (...tensors: readonly Tensor<CudaMemory>[]): void => {
    for (const { handle } of tensors) pool.addressOf(handle);
    streams.launchHandleOf('compute');
    streams.advance('compute');
  };
  /** A launch with memory of its own, recorded. */
  const record = (weight: Tensor<CudaMemory>, input: Tensor<CudaMemory>) => {
    expect(recorder.begin([input])).toBe(true);
    using own = tensor(4 * kibibyte);
    launch(weight, input, own);
    const graph = recorder.end([input]);
    if (!graph) throw new Error('nothing was recorded');
    return graph;
  };
  return { streams, pool, recorder, tensor, launch, record, state, calls };
}

const made = ['cuStreamBeginCapture', 'cuStreamEndCapture', 'cuGraphInstantiate', 'cuGraphLaunch'];

test('launches between begin and end become one graph, which is launched at the end', () => {
  const { tensor, record, calls, recorder } = setUp();
  using weight = tensor();
  using input = tensor();
  const graph = record(weight, input);
  expect([calls, graph.launches]).toEqual([made, 1]);
  expect(recorder.use).toEqual({ recorded: 1, launched: 1 });
});

test('a graph fits while inputs, other memory and free memory are where they were', () => {
  const { tensor, record } = setUp();
  const weight = tensor();
  let input = tensor();
  const graph = record(weight, input);
  input.dispose();
  input = tensor();
  expect(graph.fits([input])).toBe(true);
  expect(graph.fits([])).toBe(false);
  const blocker = tensor();
  expect(graph.fits([input])).toBe(false);
  blocker.dispose();
  expect(graph.fits([input])).toBe(true);
  weight.dispose();
  using _other = tensor();
  expect(graph.fits([input])).toBe(false);
  input.dispose();
});

test('an input elsewhere does not fit', () => {
  const { tensor, record } = setUp();
  using weight = tensor();
  const input = tensor();
  const graph = record(weight, input);
  const next = tensor();
  input.dispose();
  using filler = tensor();
  expect(graph.fits([next])).toBe(false);
  expect(graph.fits([filler])).toBe(false);
  next.dispose();
  expect(graph.fits([filler])).toBe(true);
});

test.each([
  ['an event', ({ streams }: ReturnType<typeof setUp>) => void streams.record('compute')],
  ['a copy', ({ streams }: ReturnType<typeof setUp>) => void streams.handleOf('compute')],
])('%s ends a recording, after what was recorded is made', (_, interrupt) => {
  const parts = setUp();
  const { recorder, launch, tensor, calls, streams } = parts;
  using input = tensor();
  recorder.begin([input]);
  launch(input);
  interrupt(parts);
  expect(calls.slice(0, 6)).toEqual([...made, 'cuCtxSynchronize', 'cuGraphExecDestroy']);
  expect(streams.isRecording).toBe(false);
  launch(input);
  expect(recorder.end([input])).toBeNull();
  expect(recorder.use).toEqual({ recorded: 0, launched: 0 });
});

test('memory that is moved ends a recording', () => {
  const { recorder, launch, tensor, calls } = setUp();
  const pieces = Array.from({ length: 4 }, () => tensor(16 * kibibyte));
  const [first, second, third, fourth] = pieces as [(typeof pieces)[0], ...typeof pieces];
  first.dispose();
  third?.dispose();
  using input = second as Tensor<CudaMemory>;
  recorder.begin([input]);
  launch(input);
  using _both = tensor(32 * kibibyte);
  expect(calls.indexOf('cuGraphLaunch')).toBeGreaterThan(0);
  expect(calls.indexOf('cuGraphLaunch')).toBeLessThan(calls.indexOf('cuCtxSynchronize'));
  expect(recorder.end([input])).toBeNull();
  fourth?.dispose();
});

test('memory given back during a recording is marked by no event within it', () => {
  const { recorder, launch, tensor, calls } = setUp();
  using input = tensor();
  recorder.begin([input]);
  const large = tensor(32 * kibibyte);
  launch(input, large);
  large.dispose();
  expect(recorder.end([input])).not.toBeNull();
  expect(calls).not.toContain('cuEventRecord');
});

test('the copy stream waits for a graph before it writes where that had memory', () => {
  const { record, tensor, streams, calls } = setUp();
  using weight = tensor();
  using input = tensor();
  const graph = record(weight, input);
  graph.launch();
  using next = tensor();
  calls.length = 0;
  streams.waitForCompute(next.handle.allocation.reusedAt);
  expect(next.handle.allocation.reusedAt).toBe(streams.positionOf('compute'));
  expect(calls).toEqual(['cuEventRecord']);
});

test('nothing is recorded within a recording, nor on a card that is nearly full; no launches make no graph', () => {
  const full = setUp({ freeBytes: 2 ** 25 });
  expect(full.recorder.begin([])).toBe(false);
  const { recorder, calls } = setUp();
  expect([recorder.begin([]), recorder.begin([])]).toEqual([true, false]);
  expect(recorder.end([])).toBeNull();
  expect(calls).toEqual(['cuStreamBeginCapture', 'cuStreamEndCapture']);
});

test('a graph that may be running is waited for before it goes, and goes with the card', () => {
  const { record, tensor, calls, state } = setUp();
  using weight = tensor();
  using input = tensor();
  const graphs = [record(weight, input), record(weight, input)] as const;
  calls.length = 0;
  graphs[0].dispose();
  graphs[0].dispose();
  expect(calls).toEqual(['cuCtxSynchronize', 'cuGraphExecDestroy']);
  state.isClosed = true;
  graphs[1].dispose();
  expect(calls).toHaveLength(2);
});
