import {
  defaultPolicy,
  initialState,
  transition,
  type SupervisorAction,
  type SupervisorEvent,
  type SupervisorState,
} from './machine.js';

const policy = {
  ...defaultPolicy,
  backoffBaseMs: 100,
  backoffMaxMs: 1000,
  stableAfterMs: 5000,
  startAttempts: 3,
};
const plan = [
  { name: 'nats', tier: 0 },
  { name: 'a', tier: 1 },
  { name: 'b', tier: 1 },
  { name: 'coordinator', tier: 2 },
];

/** Feeds events; gives the actions of the last one as `type name ms`. */
function feed(
  state: SupervisorState,
  ...events: readonly SupervisorEvent[]
): [SupervisorState, string[]] {
  let actions: readonly SupervisorAction[] = [];
  for (const event of events) [state, actions] = transition(state, event);
  return [
    state,
    actions.map((action) =>
      [action.type, 'name' in action ? action.name : '', 'afterMs' in action ? action.afterMs : '']
        .join(' ')
        .trim(),
    ),
  ];
}

const ready = (name: string, nowMs = 0): SupervisorEvent => ({ type: 'ready', name, nowMs });
const exited = (name: string, nowMs = 0, code: number | null = 1): SupervisorEvent => ({
  type: 'exited',
  name,
  nowMs,
  code,
  signal: code === null ? 'SIGKILL' : null,
});
const retry = (name: string): SupervisorEvent => ({ type: 'retry', name });
const overdue = (name: string): SupervisorEvent => ({ type: 'overdue', name });
const started = (): SupervisorState =>
  feed(
    initialState(plan, policy),
    { type: 'start' },
    ready('nats'),
    ready('a'),
    ready('b'),
    ready('coordinator'),
  )[0];

test('starts tier by tier, each when the one below is ready', () => {
  let [state, actions] = feed(initialState(plan, policy), { type: 'start' });
  expect(actions).toEqual(['spawn nats']);
  [state, actions] = feed(state, ready('nats'));
  expect(actions).toEqual(['spawn a', 'spawn b']);
  [state, actions] = feed(state, ready('b'));
  expect(actions).toEqual([]);
  [state, actions] = feed(state, ready('a'));
  expect(actions).toEqual(['spawn coordinator']);
  [state, actions] = feed(state, ready('coordinator'));
  expect([state.mode, actions]).toEqual(['running', ['announce-running']]);
});

test('a process that dies while the others start is started again and does not hold them up', () => {
  const [state, actions] = feed(
    initialState(plan, policy),
    { type: 'start' },
    ready('nats'),
    exited('nats'),
  );
  expect(actions).toEqual(['back-off nats 100']);
  expect(feed(state, ready('a'), ready('b'))[1]).toEqual(['spawn coordinator']);
});

test('restarts with a backoff that doubles up to its limit, and forgets it after a stable time', () => {
  let state = started();
  const waits: string[] = [];
  for (let failure = 0; failure < 6; failure++) {
    const [next, [action = '']] = feed(state, exited('a', 10, null));
    waits.push(action);
    state = feed(next, retry('a'), ready('a', 10))[0];
  }
  expect(waits).toEqual([100, 200, 400, 800, 1000, 1000].map((ms) => `back-off a ${ms}`));
  expect(feed(state, exited('a', 5009))[1]).toEqual(['back-off a 1000']);
  expect(feed(state, exited('a', 5010))[1]).toEqual(['back-off a 100']);
});

test('a process that ends with 0 unasked is started again too', () => {
  expect(feed(started(), exited('a', 0, 0))[1]).toEqual(['back-off a 100']);
});

test('is ready again without announcing it again', () => {
  expect(
    feed(started(), exited('coordinator'), retry('coordinator'), ready('coordinator'))[1],
  ).toEqual([]);
});

test('gives the start up when a process was called wrongly, and stops what runs', () => {
  const [state, actions] = feed(
    initialState(plan, policy),
    { type: 'start' },
    ready('nats'),
    exited('a', 0, 2),
  );
  expect([state.mode, state.failure, actions]).toEqual([
    'stopping',
    { name: 'a', code: 2, signal: null },
    ['terminate b'],
  ]);
  expect(feed(state, exited('b', 0, 0))[1]).toEqual(['terminate nats']);
  expect(feed(state, exited('b', 0, 0), exited('nats', 0, 0))[1]).toEqual(['announce-ended']);
});

test('gives the start up after the attempts of a process that never was ready, but not of one that was', () => {
  const failing = [exited('a'), retry('a')];
  const [state] = feed(
    initialState(plan, policy),
    { type: 'start' },
    ready('nats'),
    ...failing,
    ...failing,
  );
  expect(state.mode).toBe('starting');
  expect(feed(state, exited('a'))[0].failure).toMatchObject({ name: 'a' });
  const [running] = feed(
    started(),
    ...failing,
    ...failing,
    ...failing,
    ...failing,
    exited('a', 0, 2),
  );
  expect([running.mode, running.failure]).toEqual(['running', null]);
});

test('kills what is not ready in time', () => {
  const [state, actions] = feed(initialState(plan, policy), { type: 'start' }, overdue('nats'));
  expect(actions).toEqual(['kill nats']);
  expect(feed(state, exited('nats', 0, null))[1]).toEqual(['back-off nats 100']);
  expect(feed(started(), overdue('nats'))[1]).toEqual([]);
});

test('stops in the opposite order, a tier at a time', () => {
  let [state, actions] = feed(started(), { type: 'stop' });
  expect(actions).toEqual(['terminate coordinator']);
  [state, actions] = feed(state, exited('coordinator', 0, 0));
  expect(actions).toEqual(['terminate a', 'terminate b']);
  [state, actions] = feed(state, exited('b', 0, 0));
  expect(actions).toEqual([]);
  [state, actions] = feed(state, exited('a', 0, 0));
  expect(actions).toEqual(['terminate nats']);
  [state, actions] = feed(state, exited('nats', 0, 0));
  expect([state.mode, state.isOrderly, actions]).toEqual(['ended', true, ['announce-ended']]);
  expect(feed(state, { type: 'kill' })[1]).toEqual([]);
});

test('a stop leaves alone what waits to be started, and starts nothing any more', () => {
  const [state, actions] = feed(started(), exited('coordinator'), exited('a'), { type: 'stop' });
  expect(actions).toEqual(['terminate b']);
  expect(feed(state, retry('a'), retry('coordinator'))[1]).toEqual([]);
  expect(feed(state, exited('b', 0, 0))[1]).toEqual(['terminate nats']);
  expect(feed(initialState(plan, policy), { type: 'stop' })[1]).toEqual(['announce-ended']);
});

test('kills what does not end in time, and says so', () => {
  const [state, actions] = feed(started(), { type: 'stop' }, overdue('coordinator'));
  expect([actions, state.isOrderly]).toEqual([['kill coordinator'], false]);
});

test('a second stop changes nothing, a kill ends all at once', () => {
  const [state, actions] = feed(started(), { type: 'stop' }, { type: 'stop' });
  expect(actions).toEqual([]);
  const [killed, kills] = feed(state, { type: 'kill' });
  expect(kills).toEqual(['kill nats', 'kill a', 'kill b', 'kill coordinator']);
  const [ended, last] = feed(killed, ...plan.map(({ name }) => exited(name, 0, null)));
  expect([ended.mode, ended.isOrderly, last]).toEqual(['ended', false, ['announce-ended']]);
});
