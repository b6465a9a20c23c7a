import type { IEnvVar } from 'kubernetes-models/v1';

import type { Rendered } from './manifests.js';
import type { Pod } from './pods.js';

/** Data of Secrets, by their names. */
export type SecretData = ReadonlyMap<string, Readonly<Record<string, string>>>;

export interface EnvironmentSources {
  readonly rendered: Rendered;
  readonly secrets: SecretData;
}

/**
 * The environment that a kubelet gives to a pod's container, the image's apart.
 * @throws for what refers to nothing
 */
export function environmentOf(pod: Pod, sources: EnvironmentSources): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const { configMapRef } of pod.container.envFrom ?? [])
    Object.assign(environment, dataOf(sources.rendered, configMapRef?.name ?? ''));
  for (const variable of pod.container.env ?? [])
    environment[variable.name] = valueOf(variable, pod, sources);
  return environment;
}

/** Data of a ConfigMap. @throws when it is not there */
export function dataOf({ configMaps }: Rendered, name: string): Readonly<Record<string, string>> {
  const found = configMaps.find(({ metadata }) => metadata.name === name);
  if (!found) throw new Error(`there is no ConfigMap ${name}`);
  return found.data ?? {};
}

function valueOf(
  { name, value, valueFrom }: IEnvVar,
  pod: Pod,
  { secrets }: EnvironmentSources,
): string {
  if (value?.includes('$('))
    throw new Error(`${pod.name}: ${name} refers to another variable, which is not known here`);
  if (!valueFrom) return value ?? '';
  const { fieldRef, resourceFieldRef, secretKeyRef } = valueFrom;
  if (fieldRef?.fieldPath === 'metadata.name') return pod.name;
  if (resourceFieldRef?.resource === 'limits.cpu')
    return String(Math.ceil(cores(String(pod.container.resources?.limits?.['cpu'] ?? ''))));
  const secret = secretKeyRef && secrets.get(secretKeyRef.name ?? '')?.[secretKeyRef.key];
  if (secret === undefined)
    throw new Error(
      `${pod.name}: ${name} is from something that is not known: ${JSON.stringify(valueFrom)}`,
    );
  return secret;
}

function cores(quantity: string): number {
  const [, digits, milli] = /^(\d+)(m?)$/.exec(quantity) ?? [];
  if (digits === undefined) throw new Error(`"${quantity}" is no number of cores`);
  return Number(digits) / (milli ? 1000 : 1);
}
