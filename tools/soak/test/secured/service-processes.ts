import { dist } from '@emloc/deployment/testing';
import { programsIn, type ServiceName } from '@emloc/local-deployment';
import { spawnProgram, type Spawned } from '@emloc/stage/testing';

export function startService(
  service: ServiceName,
  {
    args,
    env,
  }: { readonly args: readonly string[]; readonly env?: Readonly<Record<string, string>> },
): Spawned {
  return spawnProgram(programsIn(dist)(service), args, env);
}
