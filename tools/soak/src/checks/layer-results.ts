import { openRecordStore, type NatsConnection, type WorkState } from '@emloc/nats';

/** Watches which results were recorded for the layers of a job. */
export interface LayerResults {
  /**
   * By layer, the different results that stood in its record: more than one means that a result was
   * overwritten.
   */
  readonly results: ReadonlyMap<string, ReadonlySet<string>>;
  close(): Promise<void>;
}

/**
 * Follows the records of the job's layer queue, until they are deleted with the job's other work.
 * Makes their bucket where it is not there yet: only for a job that has not ended.
 * @param job its identifier, without `jobs/`
 */
export async function watchLayerResults(nats: NatsConnection, job: string): Promise<LayerResults> {
  const records = await openRecordStore<WorkState<unknown>>({ nats, bucket: `work-layers-${job}` });
  const stop = new AbortController();
  const results = new Map<string, Set<string>>();
  const watching = (async () => {
    for await (const change of records.watch('>', stop.signal)) {
      if (change.kind === 'put' && change.value.state === 'done')
        results.set(
          change.key,
          (results.get(change.key) ?? new Set()).add(JSON.stringify(change.value)),
        );
    }
  })().catch(() => undefined);
  return {
    results,
    close: async () => {
      stop.abort();
      await watching;
    },
  };
}
