import { MemoryBudget } from './budget.js';
import { Recorder, type LaunchGraph, type LaunchRecorder } from './recorder.js';
import { repeatsOn, type RepeatedWork } from './repeats.js';
import { Tensor } from './tensor.js';

/** A recorder of what happens, whose graphs fit while `state.fits` says so. */
function recorderOf({ launches = 10 } = {}) {
  const events: string[] = [];
  const state = { fits: true, isRecording: true, isWhole: true };
  const graph = (): LaunchGraph => ({
    launches,
    fits: () => state.fits,
    launch: () => events.push('graph'),
    dispose: () => events.push('dispose'),
  });
  const recorder: LaunchRecorder = {
    begin: () => {
      if (state.isRecording) events.push('begin');
      return state.isRecording;
    },
    end: () => {
      events.push('end');
      return state.isWhole ? graph() : null;
    },
  };
  return { events, state, recorder };
}

function setUp(options: { launches?: number; totalBytes?: number } = {}) {
  const { events, state, recorder } = recorderOf(options);
  const budget = new MemoryBudget(options.totalBytes ?? 1000);
  const repeats = repeatsOn({ recorder: new Recorder(recorder, budget) });
  let [held, skips] = [0, true];
  const work = (signature: string): RepeatedWork<string> => ({
    signature,
    inputs: [],
    launch: () => {
      events.push('launch');
      held += 1;
      budget.reserve(100, 'activations', 'work').release();
      return Promise.resolve([new Tensor([1], 'float32', 'result', 0, () => (held -= 1))]);
    },
    skip: () => skips,
    read: ([result]) => `${result?.label} ${result?.isDisposed}`,
  });
  /** What happened during one run. */
  const run = async (signature = 'a'): Promise<readonly string[]> => {
    events.length = 0;
    expect(await repeats.run(work(signature))).toBe('result false');
    return [...events];
  };
  const setSkips = (value: boolean): void => void (skips = value);
  return { budget, repeats, run, state, work, events, setSkips, heldNow: () => held };
}

const recorded = ['begin', 'launch', 'end'];

test('work is launched one by one, then recorded, then made as one, and its results are read each time', async () => {
  const { run, heldNow, repeats, events } = setUp();
  expect(await run()).toEqual(['launch']);
  expect(await run()).toEqual(recorded);
  expect(await run()).toEqual(['graph']);
  expect(await run('b')).toEqual(['launch']);
  expect(await run()).toEqual(['graph']);
  expect(heldNow()).toBe(0);
  events.length = 0;
  repeats[Symbol.dispose]();
  expect(events).toEqual(['dispose']);
});

test('a recording that fits no more is given up, and made anew the next time', async () => {
  const { run, state } = setUp();
  await run();
  await run();
  state.fits = false;
  expect(await run()).toEqual(['dispose', 'launch']);
  state.fits = true;
  expect(await run()).toEqual(recorded);
  expect(await run()).toEqual(['graph']);
});

test('where the host cannot skip the work it launches it, and the recording is kept', async () => {
  const { run, setSkips } = setUp();
  await run();
  await run();
  setSkips(false);
  expect(await run()).toEqual(['launch']);
  setSkips(true);
  expect(await run()).toEqual(['graph']);
});

test('work that cannot be recorded is tried three times', async () => {
  const { run, state } = setUp();
  state.isWhole = false;
  await run();
  for (let index = 0; index < 3; index += 1) expect(await run()).toEqual(recorded);
  expect(await run()).toEqual(['launch']);
});

test('what is made as one counts in the budget what it took one by one, and is not made without room for that', async () => {
  const { budget, run } = setUp();
  await run();
  await run();
  const scope = budget.openPeakScope();
  expect(await run()).toEqual(['graph']);
  expect(scope.close()).toBe(100);
  const others = budget.reserve(901, 'weights', 'others');
  await expect(run()).rejects.toMatchObject({ code: 'DEVICE_OUT_OF_BUDGET' });
  others.release();
  expect(budget.inUseBytes).toBe(0);
});

test('recordings of many launches take turns', async () => {
  const { run } = setUp({ launches: 20_000 });
  for (const signature of ['a', 'b'])
    for (let index = 0; index < 2; index += 1) await run(signature);
  expect(await run('b')).toEqual(['graph']);
  expect(await run('a')).toEqual(['launch']);
  expect(await run('a')).toEqual([...recorded, 'dispose']);
});

test('a recording that had to go is made again only after more and more launches', async () => {
  const { run } = setUp({ launches: 20_000 });
  const plain: number[] = [];
  for (let turn = 0; turn < 3; turn += 1) {
    let launches = 0;
    while (!(await run('a')).includes('begin')) launches += 1;
    plain.push(launches);
    // Another takes its room.
    const other = `other ${turn}`;
    await run(other);
    expect(await run(other)).toEqual([...recorded, 'dispose']);
  }
  expect(plain).toEqual([1, 1, 3]);
});

test('work that fails ends its recording, and the error is the work’s', async () => {
  const { repeats, run, work, events } = setUp();
  await run();
  events.length = 0;
  const failing = { ...work('a'), launch: () => Promise.reject(new Error('no room')) };
  await expect(repeats.run(failing)).rejects.toThrow('no room');
  expect(events).toEqual(['begin', 'end', 'dispose']);
  expect(await run()).toEqual(recorded);
});

test('without a recorder every run launches', async () => {
  const { work, events } = setUp();
  const repeats = repeatsOn({ recorder: null });
  for (let index = 0; index < 3; index += 1) await repeats.run(work('a'));
  expect(events).toEqual(['launch', 'launch', 'launch']);
});
