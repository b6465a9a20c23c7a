import { backoffMs, type BackoffPolicy } from '@emloc/time';

/**
 * One process to be kept running. Tiers start one after the other, lowest first, and stop in the
 * opposite order.
 */
export interface Supervised {
  readonly name: string;
  readonly tier: number;
}

export interface SupervisionPolicy {
  /** Before the first restart; doubles with each failure in a row. */
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** A process that was ready for so long begins anew with the shortest backoff. */
  readonly stableAfterMs: number;
  /** Failures in a row, before it was ever ready, after which the start is given up. */
  readonly startAttempts: number;
  /** A process that is not ready by then is killed, which is a failure. */
  readonly readyWithinMs: number;
  /** Between SIGTERM and SIGKILL. */
  readonly stopWithinMs: number;
}

export const defaultPolicy: SupervisionPolicy = Object.freeze({
  backoffBaseMs: 250,
  backoffMaxMs: 30_000,
  stableAfterMs: 30_000,
  startAttempts: 5,
  readyWithinMs: 120_000,
  stopWithinMs: 35_000,
});

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
}

type Phase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'starting' }
  | { readonly kind: 'ready'; readonly sinceMs: number }
  | { readonly kind: 'backing-off' }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'ended' };

interface Member extends Supervised {
  readonly phase: Phase;
  readonly failures: number;
  readonly hasBeenReady: boolean;
}

export interface SupervisorState {
  readonly policy: SupervisionPolicy;
  readonly mode: 'starting' | 'running' | 'stopping' | 'ended';
  readonly members: readonly Member[];
  /** The process that kept the whole from starting, and how it ended. */
  readonly failure: ({ readonly name: string } & ProcessExit) | null;
  /** Whether every process has ended by itself when it was asked to. */
  readonly isOrderly: boolean;
}

export type SupervisorEvent =
  | { readonly type: 'start' }
  | { readonly type: 'ready'; readonly name: string; readonly nowMs: number }
  | ({ readonly type: 'exited'; readonly name: string; readonly nowMs: number } & ProcessExit)
  /** The backoff of a process is over. */
  | { readonly type: 'retry'; readonly name: string }
  /** What was to happen within a time has not happened. */
  | { readonly type: 'overdue'; readonly name: string }
  | { readonly type: 'stop' }
  /** Stop at once. */
  | { readonly type: 'kill' };

export type SupervisorAction =
  /** An `overdue` follows unless it is ready within the time. */
  | { readonly type: 'spawn'; readonly name: string; readonly withinMs: number }
  /** SIGTERM; an `overdue` follows unless it ends within the time. */
  | { readonly type: 'terminate'; readonly name: string; readonly withinMs: number }
  | { readonly type: 'kill'; readonly name: string }
  /** A `retry` follows after the time. */
  | { readonly type: 'back-off'; readonly name: string; readonly afterMs: number }
  /** All were ready for the first time. */
  | { readonly type: 'announce-running' }
  /** Nothing is left. */
  | { readonly type: 'announce-ended' };

/** A new state, and what is to be done, in order. */
export type Transition = readonly [state: SupervisorState, actions: readonly SupervisorAction[]];

/**
 * A process says with this status that it was called wrongly: it will not do better the next time.
 */
const usageExitCode = 2;

export function initialState(
  processes: readonly Supervised[],
  policy: SupervisionPolicy = defaultPolicy,
): SupervisorState {
  const members = processes.map(({ name, tier }): Member => ({
    name,
    tier,
    phase: { kind: 'idle' },
    failures: 0,
    hasBeenReady: false,
  }));
  return { policy, mode: 'starting', members, failure: null, isOrderly: true };
}

/**
 * The whole of supervision: pure. Events that come late, of a process that is past them, change
 * nothing.
 */
export function transition(state: SupervisorState, event: SupervisorEvent): Transition {
  if (state.mode === 'ended') return [state, []];
  switch (event.type) {
    case 'start':
      return advance(state);
    case 'ready':
      return onReady(state, event);
    case 'exited':
      return onExited(state, event);
    case 'retry':
      return state.mode !== 'stopping' && memberOf(state, event.name).phase.kind === 'backing-off'
        ? spawn(state, [event.name])
        : [state, []];
    case 'overdue':
      return onOverdue(state, event.name);
    case 'stop':
      return state.mode === 'stopping' ? [state, []] : descend({ ...state, mode: 'stopping' });
    case 'kill':
      return killAll(state);
  }
}

function onReady(
  state: SupervisorState,
  { name, nowMs }: { name: string; nowMs: number },
): Transition {
  if (memberOf(state, name).phase.kind !== 'starting') return [state, []];
  const next = update(state, name, {
    phase: { kind: 'ready', sinceMs: nowMs },
    hasBeenReady: true,
  });
  return next.mode === 'starting' ? advance(next) : [next, []];
}

function onExited(
  state: SupervisorState,
  { name, nowMs, code, signal }: { name: string; nowMs: number } & ProcessExit,
): Transition {
  const member = memberOf(state, name);
  if (state.mode === 'stopping') return descend(update(state, name, { phase: { kind: 'ended' } }));
  const wasStable =
    member.phase.kind === 'ready' && nowMs - member.phase.sinceMs >= state.policy.stableAfterMs;
  const failures = wasStable ? 1 : member.failures + 1;
  if (!member.hasBeenReady && (code === usageExitCode || failures >= state.policy.startAttempts)) {
    return descend(
      update({ ...state, mode: 'stopping', failure: { name, code, signal } }, name, {
        phase: { kind: 'ended' },
      }),
    );
  }
  return [
    update(state, name, { phase: { kind: 'backing-off' }, failures }),
    [{ type: 'back-off', name, afterMs: backoffMs(backoffOf(state.policy), failures) }],
  ];
}

function backoffOf({ backoffBaseMs, backoffMaxMs }: SupervisionPolicy): BackoffPolicy {
  return { firstMs: backoffBaseMs, mostMs: backoffMaxMs };
}

function onOverdue(state: SupervisorState, name: string): Transition {
  const { kind } = memberOf(state, name).phase;
  if (kind === 'starting') return [state, [{ type: 'kill', name }]];
  if (kind === 'stopping') return [{ ...state, isOrderly: false }, [{ type: 'kill', name }]];
  return [state, []];
}

/** Starts the lowest tier that has not been started, when all below it have been ready. */
function advance(state: SupervisorState): Transition {
  const tiers = [...new Set(state.members.map(({ tier }) => tier))].sort((a, b) => a - b);
  for (const tier of tiers) {
    const members = state.members.filter((member) => member.tier === tier);
    if (members.every(({ phase }) => phase.kind === 'idle'))
      return spawn(
        state,
        members.map(({ name }) => name),
      );
    if (!members.every(({ hasBeenReady }) => hasBeenReady)) return [state, []];
  }
  return [{ ...state, mode: 'running' }, [{ type: 'announce-running' }]];
}

function spawn(state: SupervisorState, names: readonly string[]): Transition {
  const next = names.reduce(
    (result, name) => update(result, name, { phase: { kind: 'starting' } }),
    state,
  );
  return [
    next,
    names.map((name) => ({ type: 'spawn', name, withinMs: state.policy.readyWithinMs })),
  ];
}

/** Stops the highest tier that has a process left. */
function descend(state: SupervisorState): Transition {
  const settled = state.members.map((member): Member =>
    isAlive(member) ? member : { ...member, phase: { kind: 'ended' } },
  );
  const alive = settled.filter(isAlive);
  if (alive.length === 0)
    return [{ ...state, members: settled, mode: 'ended' }, [{ type: 'announce-ended' }]];
  const top = Math.max(...alive.map(({ tier }) => tier));
  const names = alive
    .filter(({ tier, phase }) => tier === top && phase.kind !== 'stopping')
    .map(({ name }) => name);
  const members = settled.map((member): Member =>
    names.includes(member.name) ? { ...member, phase: { kind: 'stopping' } } : member,
  );
  return [
    { ...state, members },
    names.map((name) => ({ type: 'terminate', name, withinMs: state.policy.stopWithinMs })),
  ];
}

function killAll(state: SupervisorState): Transition {
  const alive = state.members.filter(isAlive);
  const [next] = descend({
    ...state,
    mode: 'stopping',
    isOrderly: state.isOrderly && alive.length === 0,
  });
  if (alive.length === 0) return [next, [{ type: 'announce-ended' }]];
  const members = next.members.map((member): Member =>
    isAlive(member) ? { ...member, phase: { kind: 'stopping' } } : member,
  );
  return [{ ...next, members }, alive.map(({ name }) => ({ type: 'kill', name }))];
}

function isAlive({ phase }: Member): boolean {
  return phase.kind === 'starting' || phase.kind === 'ready' || phase.kind === 'stopping';
}

function memberOf({ members }: SupervisorState, name: string): Member {
  const member = members.find((candidate) => candidate.name === name);
  if (!member) throw new RangeError(`supervision: there is no process ${name}`);
  return member;
}

function update(
  state: SupervisorState,
  name: string,
  change: Partial<Omit<Member, 'name' | 'tier'>>,
): SupervisorState {
  return {
    ...state,
    members: state.members.map((member) =>
      member.name === name ? { ...member, ...change } : member,
    ),
  };
}
