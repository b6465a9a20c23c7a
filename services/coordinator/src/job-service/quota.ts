import { RpcError } from '@emloc/rpc';

export interface QuotaLimits {
  /** Pieces of work of one tenant at the same time. */
  readonly most: number;
  /** What the work is, in messages: `uploads`. */
  readonly work: string;
  readonly reason: string;
}

/** Runs work of tenants. @throws RpcError RESOURCE_EXHAUSTED for more of one than are allowed */
export type Quota = <T>(tenant: string, work: () => Promise<T>) => Promise<T>;

const retryDelayMs = 1000;

export function createQuota({ most, work: name, reason }: QuotaLimits): Quota {
  const running = new Map<string, number>();
  return async (tenant, work) => {
    const count = running.get(tenant) ?? 0;
    if (count >= most)
      throw new RpcError(
        'RESOURCE_EXHAUSTED',
        `${count} ${name} of this tenant are under way, ${most} are allowed`,
        { reason, retryDelayMs },
      );
    running.set(tenant, count + 1);
    try {
      return await work();
    } finally {
      const left = (running.get(tenant) ?? 1) - 1;
      if (left === 0) running.delete(tenant);
      else running.set(tenant, left);
    }
  };
}
