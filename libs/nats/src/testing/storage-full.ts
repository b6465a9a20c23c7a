import { JetStreamApiError } from '@nats-io/jetstream';

/** What is thrown where JetStream has stored as much as it may. */
export function storageFullError(): Error {
  return new JetStreamApiError({
    code: 503,
    err_code: 10023,
    description: 'insufficient resources',
  });
}
