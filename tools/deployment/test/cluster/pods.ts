import type { IContainer, IPodSpec } from 'kubernetes-models/v1';

import type { Rendered, Workload } from './manifests.js';

/** A pod that a workload starts. All of ours have one container. */
export interface Pod {
  readonly name: string;
  readonly workload: Workload;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: IPodSpec;
  readonly container: IContainer;
}

/**
 * The pods of all workloads, under the names that they have in a cluster, save for the random part
 * of a Deployment's.
 */
export function podsOf(rendered: Rendered): Pod[] {
  return rendered.workloads.flatMap((workload) =>
    Array.from({ length: workload.spec?.replicas ?? 1 }, (_, index) => podOf(workload, index)),
  );
}

function podOf(workload: Workload, index: number): Pod {
  const { template } = workload.spec ?? {};
  const [container, ...others] = template?.spec?.containers ?? [];
  if (!template?.spec || !container || others.length > 0)
    throw new Error(`${workload.metadata.name}: a pod of one container was expected`);
  return {
    name: `${workload.metadata.name}-${index}`,
    workload,
    labels: template.metadata?.labels ?? {},
    spec: template.spec,
    container,
  };
}

/** Number of a container's port. @throws for a name that it does not have */
export function portOf(
  { container, name }: Pick<Pod, 'container' | 'name'>,
  port: string | number,
): number {
  const found = (container.ports ?? []).find(
    (one) => one.name === port || one.containerPort === port,
  );
  if (!found) throw new Error(`${name} has no port ${port}`);
  return found.containerPort;
}

interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>> | null;
  readonly matchExpressions?:
    | readonly {
        readonly key: string;
        readonly operator: string;
        readonly values?: readonly string[] | null;
      }[]
    | null;
}

/**
 * Whether labels are what a selector selects; an empty one selects everything.
 * @throws for an operator that is not known here
 */
export function selects(
  { matchLabels, matchExpressions }: LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  const equal = Object.entries(matchLabels ?? {}).every(([key, value]) => labels[key] === value);
  return (
    equal &&
    (matchExpressions ?? []).every(({ key, operator, values }) => {
      if (operator !== 'In') throw new Error(`selector: operator ${operator}`);
      return (values ?? []).includes(labels[key] ?? '');
    })
  );
}
