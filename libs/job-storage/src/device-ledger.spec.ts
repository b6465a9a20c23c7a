import { openRecordStore, type RecordStore } from '@emloc/nats';
import { FakeClock, until } from '@emloc/time/testing';

import {
  grant,
  openDeviceLedger,
  type DeviceGrant,
  type DeviceLedger,
  type DeviceRecord,
  type DeviceRequest,
} from './device-ledger.js';
import { startStorage, type StorageHarness } from './testing/index.js';

const base = {
  device: 'machine/cpu',
  job: 'a',
  holder: 'trainer',
  stage: 'train',
  bytes: 60,
  totalBytes: 100,
};
const held = (
  holders: Record<string, [string, number, number?]>,
  job: string | null = 'a',
): DeviceRecord => ({
  job,
  grants: Object.fromEntries(
    Object.entries(holders).map(([name, [stage, bytes, expiresAtMs = 1000]]) => [
      name,
      { stage, bytes, expiresAtMs },
    ]),
  ),
});

describe('grant', () => {
  const at = (nowMs: number, stageBytes = 100) => ({ nowMs, ttlMs: 1000, stageBytes });

  it.each([
    ['an empty device', held({}, null), true],
    ['a device with room beside other stages of the job', held({ builder: ['emulate', 40] }), true],
    ['a device without enough room', held({ builder: ['emulate', 41] }), false],
    ['a device that serves another job', held({ builder: ['emulate', 1] }, 'b'), false],
    ['a device whose other job is silent', held({ builder: ['emulate', 90, 499] }, 'b'), true],
    ['what the same process held before it died', held({ trainer: ['train', 100] }), true],
    ['what the same process held for another job', held({ trainer: ['train', 100] }, 'b'), true],
  ])('on %s', (_name, record, isGranted) => {
    const next = grant(record, base, at(500));
    expect(next !== record).toBe(isGranted);
    if (isGranted)
      expect(next).toMatchObject({
        job: 'a',
        grants: { trainer: { stage: 'train', bytes: 60, expiresAtMs: 1500 } },
      });
  });

  it('forgets those who are silent', () => {
    expect(grant(held({ builder: ['emulate', 90, 499] }), base, at(500)).grants).not.toHaveProperty(
      'builder',
    );
  });

  it('limits what the processes of one stage hold together, and no other stage', () => {
    const builder = { ...base, holder: 'builder-2', stage: 'emulate', bytes: 30 };
    const record = held({ 'builder-1': ['emulate', 30] });
    expect(grant(record, builder, at(0, 50))).toBe(record);
    expect(grant(record, builder, at(0, 60))).not.toBe(record);
    const other = held({ calibrator: ['calibrate', 30] });
    expect(grant(other, builder, at(0, 50))).not.toBe(other);
  });
});

describe('the ledger of devices', () => {
  let harness: StorageHarness;
  let records: RecordStore<DeviceRecord>;
  let ledger: DeviceLedger;
  let devices = 0;
  beforeAll(async () => {
    harness = await startStorage();
    records = await openRecordStore<DeviceRecord>({ nats: harness.nats, bucket: 'devices' });
    ledger = openDeviceLedger(records, { pollMs: 10 });
  });
  afterAll(() => harness.stop());

  /** Requests for a device that no other test uses. */
  const requests = (): ((change?: Partial<DeviceRequest>) => DeviceRequest) => {
    const device = `machine/${(devices += 1)}`;
    return (change = {}) => ({ ...base, device, ...change });
  };
  /** Asks for memory that is not free, and waits until it was looked for several times. */
  const acquireLater = async (
    request: DeviceRequest,
    stageBytes = request.totalBytes,
  ): Promise<{ granted: Promise<DeviceGrant> }> => {
    let asked = 0;
    let isGranted = false;
    const granted = ledger.acquire({
      ...request,
      stageBytes: () => {
        asked += 1;
        return Promise.resolve(stageBytes);
      },
    });
    const settled = granted.then(
      () => {
        isGranted = true;
      },
      () => undefined,
    );
    await Promise.race([until(() => asked > 3, 'the memory is looked for'), settled]);
    expect(isGranted).toBe(false);
    return { granted };
  };

  it('shares a budget among the stages of a job; who does not fit waits for a release', async () => {
    const request = requests();
    const [train, emulate] = [
      await ledger.acquire(request()),
      await ledger.acquire(request({ holder: 'builder', stage: 'emulate', bytes: 40 })),
    ];
    const third = await acquireLater(
      request({ holder: 'calibrator', stage: 'calibrate', bytes: 1 }),
    );
    await emulate.release();
    await (await third.granted).release();
    expect(train.lost.aborted).toBe(false);
    await train.release();
  });

  it('serves one job at a time, in any order of its stages', async () => {
    const request = requests();
    const first = await ledger.acquire(request({ bytes: 1 }));
    const other = await acquireLater(request({ job: 'b', holder: 'builder', bytes: 1 }));
    await first.release();
    await (await other.granted).release();
  });

  it('asks again what a stage may hold for as long as it waits', async () => {
    const request = requests();
    const limits = [0, 0, 0];
    const asked = ledger.acquire(request({ stageBytes: async () => limits.shift() ?? 100 }));
    await (await asked).release();
    expect(limits).toEqual([]);
  });

  it('ends the waiting with the signal, and refuses what can never fit', async () => {
    const request = requests();
    const first = await ledger.acquire(request());
    const stop = new AbortController();
    const waiting = await acquireLater(request({ holder: 'builder', signal: stop.signal }));
    stop.abort(new Error('enough'));
    await expect(waiting.granted).rejects.toThrow('enough');
    await expect(ledger.acquire(request({ bytes: 101 }))).rejects.toMatchObject({
      code: 'DEVICE_GRANT_TOO_LARGE',
      message: expect.stringContaining('101'),
    });
    await first.release();
  });

  it('keeps a grant by renewing it, and gives away that of a process which falls silent', async () => {
    const request = requests();
    const clock = new FakeClock();
    const ttlMs = 3000;
    const quick = openDeviceLedger(records, { ttlMs, pollMs: 10, clock, now: () => clock.now() });
    const alive = await quick.acquire(request());
    const key = Buffer.from(request().device, 'utf8').toString('hex');
    const expiresAtMs = async (): Promise<number> =>
      (await records.get(key))?.value.grants['trainer']?.expiresAtMs ?? 0;
    for (let beats = 1; beats <= 6; beats += 1) {
      await clock.advance(ttlMs / 4);
      await until(async () => (await expiresAtMs()) === clock.now() + ttlMs, 'a renewal');
    }
    let isGranted = false;
    const waiting = quick.acquire(request({ holder: 'builder' })).finally(() => {
      isGranted = true;
    });
    await clock.advance(ttlMs / 8);
    expect([isGranted, alive.lost.aborted]).toEqual([false, false]);
    await alive.release();
    const granted = async (): Promise<boolean> => {
      await clock.advance(10);
      return isGranted;
    };
    await until(granted, 'the memory that was given back');
    await (await waiting).release();

    // A process that died: its record is there and nobody renews it.
    await records.modify(key, () => held({ dead: ['train', 100, clock.now() + 300] }, 'b'));
    const diedMs = clock.now();
    isGranted = false;
    const next = quick.acquire(request()).finally(() => {
      isGranted = true;
    });
    await until(granted, 'the memory of the dead');
    expect(clock.now()).toBeGreaterThanOrEqual(diedMs + 300);
    await (await next).release();
  });

  it('tells a holder whose memory others may have', async () => {
    const request = requests();
    const quick = openDeviceLedger(records, { ttlMs: 400, pollMs: 10 });
    const taken = await quick.acquire(request());
    const key = Buffer.from(request().device, 'utf8').toString('hex');
    await records.modify(key, () => held({ builder: ['emulate', 100, Date.now() + 60_000] }));
    await until(() => taken.lost.aborted, 'the loss');
    expect(taken.lost.reason).toMatchObject({
      code: 'DEVICE_GRANT_LOST',
      message: expect.stringContaining('trainer'),
    });
    await taken.release();
    expect(Object.keys((await records.get(key))?.value.grants ?? {})).toEqual(['builder']);
  });

  it('tells a holder who cannot renew before others get the memory', async () => {
    const request = requests();
    let isAway = false;
    const away = <T>(call: () => Promise<T>): Promise<T> =>
      isAway ? new Promise<T>(() => undefined) : call();
    const cut = openDeviceLedger(
      changed(records, { modify: (key, change) => away(() => records.modify(key, change)) }),
      { ttlMs: 3000, pollMs: 10 },
    );
    const silent = await cut.acquire(request());
    isAway = true;
    const next = openDeviceLedger(records, { ttlMs: 3000, pollMs: 10 }).acquire(
      request({ job: 'b', holder: 'builder' }),
    );
    await Promise.race([
      next,
      new Promise((resolve) => {
        silent.lost.addEventListener('abort', resolve);
      }),
    ]);
    expect(silent.lost.reason).toMatchObject({ code: 'DEVICE_GRANT_LOST' });
    await (await next).release();
  });

  it('counts from when a grant was written, however late the answer comes', async () => {
    const request = requests();
    const clock = new FakeClock();
    const times = { ttlMs: 300, pollMs: 10, now: () => clock.now(), clock };
    const late = openDeviceLedger(
      changed(records, {
        modify: async (key, change) => {
          const done = await records.modify(key, change);
          await clock.advance(400);
          return done;
        },
      }),
      times,
    );
    const taken = await late.acquire(request());
    // Others may have it before this process could have renewed it.
    await (
      await openDeviceLedger(records, times).acquire(request({ job: 'b', holder: 'builder' }))
    ).release();
    await clock.advance(1);
    expect(taken.lost.reason).toMatchObject({ code: 'DEVICE_GRANT_LOST' });
  });

  it('gives back its own memory only: a later grant of the same process stays', async () => {
    const request = requests();
    let nowMs = 0;
    const ticking = openDeviceLedger(records, { now: () => (nowMs += 1) });
    const first = await ticking.acquire(request());
    const second = await ticking.acquire(request({ job: 'b' }));
    await first.release();
    const key = Buffer.from(request().device, 'utf8').toString('hex');
    expect((await records.get(key))?.value).toMatchObject({
      job: 'b',
      grants: { trainer: { bytes: 60 } },
    });
    await second.release();
    expect((await records.get(key))?.value).toEqual({ job: null, grants: {} });
  });

  it('gives a process that was started again its memory at once, also with another demand', async () => {
    const request = requests();
    const crashed = await ledger.acquire(request());
    const again = await ledger.acquire(request({ bytes: 100 }));
    await again.release();
    await crashed.release();
    const key = Buffer.from(request().device, 'utf8').toString('hex');
    expect((await records.get(key))?.value).toEqual({ job: null, grants: {} });
  });

  it('does not take what it held before it died for a grant', async () => {
    const request = requests();
    const crashed = await ledger.acquire(request({ bytes: 30, stage: 'emulate' }));
    const replica = await ledger.acquire(
      request({ holder: 'builder-2', bytes: 30, stage: 'emulate' }),
    );
    const again = await acquireLater(request({ bytes: 30, stage: 'emulate' }), 50);
    await replica.release();
    await (await again.granted).release();
    await crashed.release();
  });
});

/** Records some of whose methods are others. */
function changed(
  records: RecordStore<DeviceRecord>,
  change: Partial<RecordStore<DeviceRecord>>,
): RecordStore<DeviceRecord> {
  return {
    get: (key) => records.get(key),
    create: (key, value) => records.create(key, value),
    ...change,
  } as RecordStore<DeviceRecord>;
}
