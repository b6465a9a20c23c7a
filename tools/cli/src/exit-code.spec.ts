import { resolveTuneOptions } from '@emloc/pipeline';

import { checkOptions, endingCode, exitCodeOf, runTraining, signalExitCode } from './exit-code.js';
import { UsageError } from './usage-error.js';

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

const coded = (code: string): Error => Object.assign(new Error(code), { code });

describe('exitCodeOf', () => {
  it('is 2 for what is wrong with the call', () => {
    expect(exitCodeOf(new UsageError('x'))).toBe(2);
    for (const code of ['EMULATOR_INVALID_RATIO', 'SDK_OPTION_INVALID', 'HUB_OPTION_INVALID'])
      expect(exitCodeOf(coded(code))).toBe(2);
    const told = Object.assign(coded('INVALID_ARGUMENT'), { reason: 'INVALID_REQUEST' });
    expect(exitCodeOf(told)).toBe(2);
  });

  it('is 2 where a service was called wrongly with the flags of serve', () => {
    const ended = (code: number): Error =>
      new Error('x', { cause: Object.assign(new Error(), { failure: { name: 'trainer', code } }) });
    expect([exitCodeOf(ended(2)), exitCodeOf(ended(1))]).toEqual([2, 1]);
  });

  it('is 2 for a value that is refused before the model is read, and 1 for one after', () => {
    const resolve = () => resolveTuneOptions({ model: 'm', data: 'd', out: 'o', rank: 0 });
    const error = caught(() => checkOptions(resolve));
    expect(error).toHaveProperty('code', 'PIPELINE_INVALID_OPTION');
    expect(exitCodeOf(error)).toBe(2);
    expect(exitCodeOf(caught(resolve))).toBe(1);
  });

  it('is 3 for training that has left nothing, here or elsewhere', async () => {
    const error = coded('FINETUNE_NON_FINITE');
    expect(exitCodeOf(error)).toBe(1);
    await expect(runTraining(() => Promise.reject(error))).rejects.toBe(error);
    expect(exitCodeOf(error)).toBe(3);
    const job = { code: 'SDK_JOB_FAILED', reason: 'FINETUNE_NON_FINITE' };
    expect(exitCodeOf(Object.assign(new Error(), job))).toBe(3);
    expect(exitCodeOf(Object.assign(new Error(), { ...job, reason: 'INTERNAL' }))).toBe(1);
  });

  it('is 1 for everything else', () => {
    for (const error of [coded('PIPELINE_DISK_FULL'), coded('INVALID_ARGUMENT'), new Error(), null])
      expect(exitCodeOf(error)).toBe(1);
  });
});

it('tells signals as shells do', () => {
  expect((['SIGHUP', 'SIGINT', 'SIGTERM'] as const).map(signalExitCode)).toEqual([129, 130, 143]);
});

it('is 3 for a job that is done and has made the model no better', () => {
  expect([null, 'sound' as const, 'worse' as const, 'diverged' as const].map(endingCode)).toEqual([
    0, 0, 3, 3,
  ]);
});
