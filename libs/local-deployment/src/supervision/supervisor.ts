import { systemClock, type Timer } from '@emloc/time';

import type { ManagedProcess, ProcessEndpoint } from '../processes/managed-process.js';
import {
  initialState,
  transition,
  type ProcessExit,
  type Supervised,
  type SupervisionPolicy,
  type SupervisorAction,
  type SupervisorEvent,
  type SupervisorState,
} from './machine.js';

/** A process and how it is started. */
export interface Component extends Supervised {
  /** @param known where it listened the first time, to be there again; null before */
  start(known: ProcessEndpoint | null): ManagedProcess;
}

/** A component as it is now. */
interface ComponentStatus {
  readonly name: string;
  /** Of the present process; undefined while there is none. */
  readonly pid: number | undefined;
  readonly endpoint: ProcessEndpoint | null;
  readonly isReady: boolean;
  readonly starts: number;
}

/** Told of what happens, as it happens. */
export interface SupervisorObserver {
  ready?(name: string, endpoint: ProcessEndpoint): void;
  /** @param restartMs null: it is not started again */
  exited?(name: string, exit: ProcessExit, restartMs: number | null): void;
}

export interface Supervisor {
  /**
   * Resolves when all were ready once; rejects with `StartFailure` when one of them could not
   * start, after all have been stopped.
   */
  start(): Promise<void>;
  /** Stops all in order. @returns whether every process ended by itself */
  stop(): Promise<boolean>;
  /** Ends all at once. */
  kill(): Promise<void>;
  status(): readonly ComponentStatus[];
}

/**
 * Why `start` failed: the process, and how it ended. Null: all were stopped before they were ready.
 */
export class StartFailure extends Error {
  override readonly name = 'StartFailure';

  constructor(readonly failure: SupervisorState['failure']) {
    super(
      failure
        ? `${failure.name} ended with ${failure.signal ?? failure.code ?? 'no process'}`
        : 'stopped before all were ready',
    );
  }
}

export interface SupervisorOptions {
  readonly policy?: SupervisionPolicy;
  readonly observer?: SupervisorObserver;
}

/** Carries out what the state machine decides. */
export function createSupervisor(
  components: readonly Component[],
  { policy, observer = {} }: SupervisorOptions = {},
): Supervisor {
  return new ProcessSupervisor(components, initialState(components, policy), observer);
}

interface Running {
  process: ManagedProcess | null;
  endpoint: ProcessEndpoint | null;
  isReady: boolean;
  starts: number;
  timer: Timer | undefined;
}

class ProcessSupervisor implements Supervisor {
  readonly #running = new Map<string, Running>();
  readonly #started = deferred();
  readonly #ended = deferred();

  constructor(
    private readonly components: readonly Component[],
    private state: SupervisorState,
    private readonly observer: SupervisorObserver,
  ) {
    for (const { name } of components)
      this.#running.set(name, {
        process: null,
        endpoint: null,
        isReady: false,
        starts: 0,
        timer: undefined,
      });
    this.#started.promise.catch(() => undefined);
  }

  start(): Promise<void> {
    this.#handle({ type: 'start' });
    return this.#started.promise;
  }

  async stop(): Promise<boolean> {
    this.#handle({ type: 'stop' });
    await this.#ended.promise;
    return this.state.isOrderly;
  }

  async kill(): Promise<void> {
    this.#handle({ type: 'kill' });
    await this.#ended.promise;
  }

  status(): readonly ComponentStatus[] {
    return [...this.#running].map(([name, { process, endpoint, isReady, starts }]) => ({
      name,
      pid: process?.pid,
      endpoint,
      isReady,
      starts,
    }));
  }

  #handle(event: SupervisorEvent): void {
    const [state, actions] = transition(this.state, event);
    this.state = state;
    if (event.type === 'exited') this.#tellExit(event, actions);
    for (const action of actions) this.#act(action);
  }

  #tellExit(
    { name, code, signal }: { name: string } & ProcessExit,
    actions: readonly SupervisorAction[],
  ): void {
    const restart = actions.find((action) => action.type === 'back-off');
    this.observer.exited?.(
      name,
      { code, signal },
      restart?.type === 'back-off' ? restart.afterMs : null,
    );
  }

  #act(action: SupervisorAction): void {
    switch (action.type) {
      case 'spawn':
        return this.#spawn(action.name, action.withinMs);
      case 'terminate':
        this.#setTimer(action.name, action.withinMs, { type: 'overdue', name: action.name });
        return this.#of(action.name).process?.signal('SIGTERM');
      case 'kill':
        return this.#of(action.name).process?.signal('SIGKILL');
      case 'back-off':
        return this.#setTimer(action.name, action.afterMs, { type: 'retry', name: action.name });
      case 'announce-running':
        return this.#started.resolve();
      case 'announce-ended':
        for (const { timer } of this.#running.values()) timer?.end();
        this.#started.reject(new StartFailure(this.state.failure));
        return this.#ended.resolve();
    }
  }

  #spawn(name: string, withinMs: number): void {
    const component = this.components.find((candidate) => candidate.name === name);
    const running = this.#of(name);
    if (!component) return;
    const started = component.start(running.endpoint);
    running.process = started;
    running.starts += 1;
    this.#setTimer(name, withinMs, { type: 'overdue', name });
    void started.ready.then((endpoint) => this.#onReady(name, started, endpoint));
    void started.exited.then((exit) => this.#onExit(name, exit));
  }

  #onReady(name: string, from: ManagedProcess, endpoint: ProcessEndpoint): void {
    const running = this.#of(name);
    if (running.process !== from) return;
    running.endpoint ??= endpoint;
    running.isReady = true;
    this.observer.ready?.(name, endpoint);
    this.#handle({ type: 'ready', name, nowMs: systemClock.now() });
  }

  #onExit(name: string, { code, signal }: ProcessExit): void {
    const running = this.#of(name);
    running.timer?.end();
    running.process = null;
    running.isReady = false;
    this.#handle({ type: 'exited', name, code, signal, nowMs: systemClock.now() });
  }

  #setTimer(name: string, ms: number, event: SupervisorEvent): void {
    const running = this.#of(name);
    running.timer?.end();
    running.timer = systemClock.after(ms, () => this.#handle(event));
  }

  #of(name: string): Running {
    const running = this.#running.get(name);
    if (!running) throw new RangeError(`supervision: there is no process ${name}`);
    return running;
  }
}

interface Deferred {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

function deferred(): Deferred {
  let settle: Omit<Deferred, 'promise'> | undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, resolve: () => settle?.resolve(), reject: (error) => settle?.reject(error) };
}
