import { Device, MemoryBudget, type DeviceTarget } from '@emloc/device';
import {
  bfloat16Limits,
  compareDeltaRule,
  float32DeltaRuleLimits,
  measureDeltaRule,
  readDeltaRuleGolden,
  type Comparison,
} from '@emloc/golden-models';

/**
 * Compares a folder of the operations of a gated delta net; null: it is none.
 * @param vramBytes the device's budget; null: all it has
 * @throws the typed errors of devices; Error for a file that cannot be read
 */
export async function compareDeltaRuleFolder(
  folder: string,
  { target, vramBytes }: { readonly target: DeviceTarget; readonly vramBytes: number | null },
): Promise<Comparison | null> {
  const golden = await readDeltaRuleGolden(folder);
  if (!golden) return null;
  const budgetBytes = vramBytes ?? Number.POSITIVE_INFINITY;
  const device = new Device(await target.open(budgetBytes), new MemoryBudget(budgetBytes));
  try {
    const isFloat32 = target.profile.computeDType === 'float32';
    const limits = isFloat32 ? float32DeltaRuleLimits : bfloat16Limits;
    return compareDeltaRule(golden, await measureDeltaRule(device, golden), limits);
  } finally {
    await device.close();
  }
}
