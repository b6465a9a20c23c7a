import { readRecord } from '../job/record.js';

/** What an adapter's emloc.json says of the pictures that it was trained on; null: nothing. */
export interface RecordedPictures {
  readonly resolution: number | null;
  /** Guidance scale that the model was told. */
  readonly guidance: number | null;
}

/** @throws CheckpointError where the adapter has a record that cannot be read */
export async function recordedPictures(adapter: string | null): Promise<RecordedPictures> {
  const record = adapter === null ? null : await readRecord(adapter);
  const { pictures } = (record ?? {}) as {
    readonly pictures?: Readonly<Record<string, unknown>> | null;
  };
  return {
    resolution: numberOr(pictures?.['resolution']),
    guidance: numberOr(pictures?.['guidance']),
  };
}

function numberOr(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
