import type { JobService } from '@emloc/contracts';
import { isStorageFull, isTransient } from '@emloc/nats';
import { isRpcError, RpcError, type CallContext, type Handlers } from '@emloc/rpc';

type JobHandlers = Handlers<typeof JobService, CallContext>;

/**
 * The same handlers, which answer UNAVAILABLE while the storage is away: clients come back. Where
 * it is full, that does not pass by itself.
 */
export function whileStorageIsAway(handlers: JobHandlers): JobHandlers {
  const unary =
    <A extends unknown[], R>(handler: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      handler(...args).catch((error: unknown) => {
        throw seen(error);
      });
  const stream = <A extends unknown[], R>(handler: (...args: A) => AsyncIterable<R>) =>
    async function* (...args: A): AsyncGenerator<R> {
      try {
        yield* handler(...args);
      } catch (error) {
        throw seen(error);
      }
    };
  return {
    createJob: unary(handlers.createJob),
    getJob: unary(handlers.getJob),
    listJobs: unary(handlers.listJobs),
    cancelJob: unary(handlers.cancelJob),
    deleteJob: unary(handlers.deleteJob),
    watchJob: stream(handlers.watchJob),
    listArtifacts: unary(handlers.listArtifacts),
    downloadArtifact: stream(handlers.downloadArtifact),
    uploadDataset: unary(handlers.uploadDataset),
    planJob: unary(handlers.planJob),
  };
}

/** What a call ends with where the storage takes nothing. */
type StorageErrorCode = 'STORAGE_FULL' | 'STORAGE_UNAVAILABLE';

function seen(error: unknown): unknown {
  if (isRpcError(error)) return error;
  const because = (reason: StorageErrorCode) => ({ reason, cause: error });
  if (isStorageFull(error))
    return new RpcError(
      'RESOURCE_EXHAUSTED',
      'the storage of jobs is full',
      because('STORAGE_FULL'),
    );
  if (!isTransient(error)) return error;
  return new RpcError(
    'UNAVAILABLE',
    'the storage of jobs does not answer',
    because('STORAGE_UNAVAILABLE'),
  );
}
