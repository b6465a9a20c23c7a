import type { WorkerContract } from '../worker/messages.js';

/** What the worker of the tests does. */
export interface EchoContract extends WorkerContract {
  readonly task: {
    readonly kind: 'echo' | 'throw' | 'exit' | 'spin' | 'wait';
    readonly text: string;
  };
  readonly event: { readonly step: number };
  readonly request: { readonly question: string };
  readonly response: string;
  readonly result: string;
}
