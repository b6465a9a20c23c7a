import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { IVolume } from 'kubernetes-models/v1';

import { dataOf, type SecretData } from './environment.js';
import type { Rendered } from './manifests.js';
import type { Pod } from './pods.js';

/** Who a process runs as; null: as the one that starts it, which may be nobody else. */
export type ProcessUser = { readonly uid: number; readonly gid: number } | null;

export interface VolumeSources {
  readonly rendered: Rendered;
  readonly secrets: SecretData;
  /** Holds the volumes. */
  readonly folder: string;
  readonly user: ProcessUser;
  /** Folders that stand for claims, by their names. */
  readonly claims: ReadonlyMap<string, string>;
}

/** Where a pod's mounts are on this machine, by their paths in the container. */
export type Mounts = ReadonlyMap<string, string>;

/**
 * Makes the volumes of a pod as a kubelet does: files with their modes, for the pod's group.
 * @throws for what a volume is made from and is not there
 */
export function makeVolumes(pod: Pod, sources: VolumeSources): Mounts {
  const places = new Map(
    (pod.spec.volumes ?? []).map((volume) => [volume.name, () => placeOf(volume, pod, sources)]),
  );
  const templates =
    (pod.workload.spec as { volumeClaimTemplates?: readonly { metadata?: { name?: string } }[] })
      .volumeClaimTemplates ?? [];
  for (const { metadata } of templates)
    places.set(metadata?.name ?? '', () =>
      writable(join(sources.folder, 'claims', `${metadata?.name}-${pod.name}`), sources.user),
    );
  const mounts = new Map<string, string>();
  const texts: (() => void)[] = [];
  for (const { name, mountPath } of pod.container.volumeMounts ?? []) {
    const place = places.get(name)?.();
    if (place === undefined) throw new Error(`${pod.name} has no volume ${name}`);
    mounts.set(mountPath, typeof place === 'string' ? place : place.path);
    if (typeof place !== 'string') texts.push(() => place.write((text) => toMachine(text, mounts)));
  }
  for (const write of texts) write();
  return mounts;
}

/** Replaces paths of mounts by those on this machine. */
export function toMachine(text: string, mounts: Mounts): string {
  const longestFirst = [...mounts].sort(([one], [other]) => other.length - one.length);
  return longestFirst.reduce(
    (current, [path, place]) =>
      current.replaceAll(new RegExp(`(^|[\\s"=,])${path}(?=$|[/\\s",])`, 'gm'), `$1${place}`),
    text,
  );
}

interface TextPlace {
  readonly path: string;
  write(edit: (text: string) => string): void;
}

function placeOf(
  volume: IVolume,
  pod: Pod,
  { rendered, secrets, folder, user, claims }: VolumeSources,
): string | TextPlace {
  const path = join(folder, 'pods', pod.name, volume.name);
  const { secret, configMap, emptyDir, persistentVolumeClaim } = volume;
  if (secret) {
    const data = secrets.get(secret.secretName ?? '');
    if (!data) throw new Error(`there is no Secret ${secret.secretName}`);
    const items = secret.items ?? Object.keys(data).map((key) => ({ key, path: key }));
    for (const item of items)
      writeText(join(path, item.path), textOf(data, item.key), {
        mode: secret.defaultMode ?? 0o644,
        user,
      });
    return path;
  }
  if (configMap) {
    const data = dataOf(rendered, configMap.name ?? '');
    return {
      path,
      write: (edit) => {
        for (const key of Object.keys(data))
          writeText(join(path, key), edit(textOf(data, key)), {
            mode: configMap.defaultMode ?? 0o644,
            user,
          });
      },
    };
  }
  if (emptyDir) return writable(path, user);
  const claim = claims.get(persistentVolumeClaim?.claimName ?? '');
  if (claim === undefined)
    throw new Error(`${pod.name}: volume ${volume.name} is of a kind that is not known here`);
  return claim;
}

function textOf(data: Readonly<Record<string, string>>, key: string): string {
  const text = data[key];
  if (text === undefined)
    throw new Error(`there is no key ${key}, only ${Object.keys(data).join(', ')}`);
  return text;
}

/** The file belongs to root and the pod's group, where this process may say so. */
function writeText(
  file: string,
  text: string,
  { mode, user }: { readonly mode: number; readonly user: ProcessUser },
): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  if (user) chownSync(file, 0, user.gid);
  chmodSync(file, mode);
}

function writable(path: string, user: ProcessUser): string {
  mkdirSync(path, { recursive: true });
  if (user) chownSync(path, 0, user.gid);
  chmodSync(path, 0o2770);
  return path;
}
