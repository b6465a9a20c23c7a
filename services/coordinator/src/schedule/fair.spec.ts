import { chooseNext, type Schedulable } from './fair.js';

const job = (
  id: string,
  tenant: string,
  createTime: string,
  state: Schedulable['state'] = 'QUEUED',
): Schedulable => ({ id, tenant, createTime, state });
const none: ReadonlyMap<string, string> = new Map();

test("a tenant's jobs go in the order in which they came", () => {
  const jobs = [job('b', 't', '2'), job('a', 't', '1'), job('c', 't', '1')];
  expect(chooseNext({ jobs, running: [], lastStart: none, maxRunning: 1 })?.id).toBe('a');
});

test('tenants take turns, however many jobs each has', () => {
  const waiting = [
    ...Array.from({ length: 500 }, (_, index) =>
      job(`g${index}`, 'greedy', String(index).padStart(4, '0')),
    ),
    job('m', 'modest', '9'),
    job('n', 'modest', '91'),
  ];
  const lastStart = new Map([['greedy', '2026-01-01']]);
  const order: string[] = [];
  for (let turn = 0; turn < 5; turn += 1) {
    const next = chooseNext({ jobs: waiting, running: [], lastStart, maxRunning: 1 });
    if (!next) break;
    order.push(next.id);
    lastStart.set(next.tenant, `2026-01-02 ${turn}`);
    waiting.splice(waiting.indexOf(next), 1);
  }
  expect(order).toEqual(['m', 'g0', 'n', 'g1', 'g2']);
});

test('places are for jobs that run, and go to the tenant with fewer of them', () => {
  const jobs = [job('a', 'one', '1'), job('b', 'two', '2'), job('c', 'three', '0', 'CANCELLING')];
  const lastStart = new Map([
    ['two', '3'],
    ['one', '1'],
  ]);
  expect(chooseNext({ jobs, running: [{ tenant: 'one' }], lastStart, maxRunning: 2 })?.id).toBe(
    'b',
  );
  expect(
    chooseNext({ jobs, running: [{ tenant: 'one' }, { tenant: 'two' }], lastStart, maxRunning: 2 }),
  ).toBeUndefined();
  expect(chooseNext({ jobs: [], running: [], lastStart, maxRunning: 2 })).toBeUndefined();
});
