import type { RecordStore } from '@emloc/nats';
import { Renewal, sleep, systemClock, type Clock } from '@emloc/time';

import { createIfMissing } from './create-if-missing.js';
import { JobStorageError } from './errors.js';

/**
 * Who holds how much of a device. All holders of one device are on its machine, so its clock is
 * theirs.
 */
export interface DeviceRecord {
  /** The job that the device serves; null: none. */
  readonly job: string | null;
  readonly grants: Readonly<
    Record<string, { readonly stage: string; readonly bytes: number; readonly expiresAtMs: number }>
  >;
}

export interface DeviceRequest {
  /** Names a device for all processes that can reach it: machine and device. */
  readonly device: string;
  readonly job: string;
  /** Names the asking process; asking again replaces what it held, as after a crash. */
  readonly holder: string;
  readonly bytes: number;
  /** What all stages of the job may hold together. */
  readonly totalBytes: number;
  readonly stage: string;
  /**
   * What all processes of the same stage may hold together, asked whenever the memory may be free;
   * default: `totalBytes`.
   */
  readonly stageBytes?: () => Promise<number>;
  readonly signal?: AbortSignal;
}

/** Device memory that a stage may use until it is released or lost. */
export interface DeviceGrant {
  readonly bytes: number;
  /** Aborts when others may have the memory: the process was silent for too long. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

/**
 * The budget of a job on a device, shared by its stages in several processes. A device serves one
 * job at a time; stages of that job hold memory together as long as it fits.
 */
export interface DeviceLedger {
  /**
   * Waits until the memory is free.
   * @throws JobStorageError DEVICE_GRANT_TOO_LARGE; the signal's reason
   */
  acquire(request: DeviceRequest): Promise<DeviceGrant>;
}

export interface DeviceLedgerOptions {
  /** A holder that is silent for so long holds nothing any more. */
  readonly ttlMs?: number;
  readonly pollMs?: number;
  /** Time that all holders of a device share, in milliseconds. */
  readonly now?: () => number;
  readonly clock?: Clock;
}

/** @param records holds nothing else */
export function openDeviceLedger(
  records: RecordStore<DeviceRecord>,
  { ttlMs = 10_000, pollMs = 100, now = Date.now, clock = systemClock }: DeviceLedgerOptions = {},
): DeviceLedger {
  return {
    acquire: async (request) => {
      const {
        device,
        job,
        bytes,
        totalBytes,
        signal,
        stageBytes = () => Promise.resolve(totalBytes),
      } = request;
      if (bytes > totalBytes)
        throw new JobStorageError(
          'DEVICE_GRANT_TOO_LARGE',
          `device ${device}: ${bytes} bytes asked for job ${job}, whose budget is ${totalBytes}`,
        );
      const key = Buffer.from(device, 'utf8').toString('hex');
      await createIfMissing(records, key, { job: null, grants: {} });
      for (;;) {
        signal?.throwIfAborted();
        const limitBytes = await stageBytes();
        const startedMs = clock.now();
        let grantedMs: number | null = null;
        await records.modify(key, (record) => {
          const nowMs = now();
          const next = grant(record, request, { nowMs, ttlMs, stageBytes: limitBytes });
          // What this process held before it was started again is no grant of this request.
          grantedMs = next === record ? null : nowMs;
          return next;
        });
        if (grantedMs !== null)
          return new HeldGrant(records, key, request, { ttlMs, now, clock, grantedMs, startedMs });
        await sleep(pollMs, { signal, clock });
      }
    },
  };
}

/** The record with the request granted; unchanged while it has to wait. */
export function grant(
  record: DeviceRecord,
  { job, holder, stage, bytes, totalBytes }: Omit<DeviceRequest, 'stageBytes'>,
  { nowMs, ttlMs, stageBytes }: { nowMs: number; ttlMs: number; stageBytes: number },
): DeviceRecord {
  const others = Object.entries(record.grants).filter(
    ([name, { expiresAtMs }]) => name !== holder && expiresAtMs > nowMs,
  );
  const bytesOf = (held: typeof others): number =>
    held.reduce((sum, [, { bytes: heldBytes }]) => sum + heldBytes, 0);
  const servesAnother = others.length > 0 && record.job !== job;
  const sameStage = others.filter(([, held]) => held.stage === stage);
  if (
    servesAnother ||
    bytesOf(others) + bytes > totalBytes ||
    bytesOf(sameStage) + bytes > stageBytes
  )
    return record;
  return {
    job,
    grants: {
      ...Object.fromEntries(others),
      [holder]: { stage, bytes, expiresAtMs: nowMs + ttlMs },
    },
  };
}

interface HeldGrantSettings {
  readonly ttlMs: number;
  readonly now: () => number;
  readonly clock: Clock;
  /** When it was granted, by `now`, and when that was asked for, by the clock. */
  readonly grantedMs: number;
  readonly startedMs: number;
}

class HeldGrant implements DeviceGrant {
  readonly bytes: number;
  readonly #lost = new AbortController();
  readonly #renewal: Renewal;
  /** What the record was last written from: it expires `ttlMs` later. */
  #renewedMs: number;
  #ended = false;

  constructor(
    private readonly records: RecordStore<DeviceRecord>,
    private readonly key: string,
    private readonly request: DeviceRequest,
    private readonly settings: HeldGrantSettings,
  ) {
    const { ttlMs, grantedMs, startedMs, clock } = settings;
    this.bytes = request.bytes;
    this.#renewedMs = grantedMs;
    this.#renewal = new Renewal({
      everyMs: ttlMs / 4,
      lostAfterMs: ttlMs * 0.8,
      startedMs,
      renew: () => this.#renew(),
      onLost: (reason) => this.#lose(reason),
      clock,
    });
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async release(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#renewal.end();
    const { holder } = this.request;
    await this.records.modify(this.key, (record) => {
      // A later grant of this process stays.
      if (record.grants[holder]?.expiresAtMs !== this.#renewedMs + this.settings.ttlMs)
        return record;
      const { [holder]: _released, ...grants } = record.grants;
      return { job: Object.keys(grants).length > 0 ? record.job : null, grants };
    });
  }

  async #renew(): Promise<string | null> {
    const { ttlMs, now } = this.settings;
    const startedMs = now();
    const { holder, job } = this.request;
    const { value } = await this.records.modify(this.key, (record) => {
      const held = record.grants[holder];
      if (!held || record.job !== job) return record;
      return {
        ...record,
        grants: { ...record.grants, [holder]: { ...held, expiresAtMs: startedMs + ttlMs } },
      };
    });
    if (value.grants[holder]?.expiresAtMs !== startedMs + ttlMs) return 'another process has it';
    this.#renewedMs = startedMs;
    return null;
  }

  #lose(reason: string): void {
    this.#ended = true;
    const { device, holder } = this.request;
    this.#lost.abort(
      new JobStorageError(
        'DEVICE_GRANT_LOST',
        `device ${device}: ${holder} does not hold its memory any more: ${reason}`,
      ),
    );
  }
}
