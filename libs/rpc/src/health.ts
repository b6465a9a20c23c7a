import { healthV1 } from '@emloc/contracts';

import type { CallContext } from './context.js';
import { RpcError } from './errors.js';
import type { Handlers } from './methods.js';
import { untilAborted } from './streams.js';

const { HealthCheckResponse_ServingStatus: ServingStatus } = healthV1;

/**
 * The name under which a health check asks whether the process lives, whether or not it is ready.
 */
export const livenessService = 'liveness';

/**
 * What `grpc.health.v1.Health` answers. The empty name and the name of every service stand for
 * readiness; `liveness` is SERVING for as long as the process answers at all.
 */
export class Health {
  readonly #services = new Set<string>();
  #ready = false;
  #change = nextChange();

  get isReady(): boolean {
    return this.#ready;
  }

  /** A service whose readiness is asked for by name. */
  register(service: string): void {
    this.#services.add(service);
    this.#notify();
  }

  setReady(ready: boolean): void {
    if (this.#ready === ready) return;
    this.#ready = ready;
    this.#notify();
  }

  /** The implementation of grpc.health.v1.Health. */
  handlers(): Handlers<typeof healthV1.Health, CallContext> {
    return {
      check: ({ service }) => {
        const status = this.#statusOf(service);
        if (status === null)
          return Promise.reject(
            new RpcError('NOT_FOUND', `health: no service ${JSON.stringify(service)}`, {
              reason: 'SERVICE_UNKNOWN',
            }),
          );
        return Promise.resolve({ status });
      },
      watch: ({ service }, context) => this.#watch(service, context),
    };
  }

  async *#watch(
    service: string,
    { signal, draining }: CallContext,
  ): AsyncGenerator<{ status: number }> {
    const stopped = AbortSignal.any([signal, draining]);
    let last: number | null = null;
    for (;;) {
      const { happened } = this.#change;
      const status = this.#statusOf(service) ?? ServingStatus.SERVICE_UNKNOWN;
      if (status !== last) yield { status };
      last = status;
      if (stopped.aborted)
        throw new RpcError('UNAVAILABLE', 'the server is closing', { reason: 'SERVER_CLOSING' });
      await untilAborted(happened, stopped).catch(() => undefined);
    }
  }

  #statusOf(service: string): number | null {
    if (service === livenessService) return ServingStatus.SERVING;
    if (service !== '' && !this.#services.has(service)) return null;
    return this.#ready ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }

  #notify(): void {
    const { announce } = this.#change;
    this.#change = nextChange();
    announce();
  }
}

function nextChange(): { happened: Promise<void>; announce: () => void } {
  let announce!: () => void;
  const happened = new Promise<void>((resolve) => {
    announce = resolve;
  });
  return { happened, announce };
}
