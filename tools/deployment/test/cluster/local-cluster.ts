import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { at } from '@emloc/checked';
import { findNatsServer } from '@emloc/nats';
import { systemClock } from '@emloc/time';
import { until } from '@emloc/time/testing';
import type { IProbe } from 'kubernetes-models/v1';

import { getPage } from '../../src/testing/index.js';
import { environmentOf, type SecretData } from './environment.js';
import { readImage, unpackImage, type Image } from './image.js';
import type { Rendered } from './manifests.js';
import { hostNames } from './network.js';
import { podsOf, portOf, type Pod } from './pods.js';
import { makeVolumes, toMachine, type Mounts, type ProcessUser } from './volumes.js';

/** A pod whose container runs as a process of this machine. */
interface RunningPod extends Pod {
  /** A loopback address of its own, so that its ports are those of the manifests. */
  readonly ip: string;
  readonly mounts: Mounts;
  readonly child: ChildProcess;
  /** Exit code; null: a signal ended it. */
  readonly ended: Promise<number | null>;
  output(): string;
}

/**
 * The pods of a deployment as processes: with the manifests' environment, arguments, ports, volumes
 * and probes, and the image's files.
 */
export interface LocalCluster {
  readonly pods: readonly RunningPod[];
  podsNamed(workload: string): RunningPod[];
  /** Status that a probe gets; null when nothing answers. */
  probe(pod: RunningPod, probe: IProbe | null | undefined): Promise<number | null>;
  /**
   * Waits until startup and readiness probes of all pods succeed.
   * @throws with the output of a pod that has ended
   */
  ready(): Promise<void>;
  /**
   * SIGTERM to all but NATS, then to NATS, and SIGKILL when a pod's time is over.
   * @returns exit codes, by pod; null: it was killed
   */
  stop(): Promise<ReadonlyMap<string, number | null>>;
}

export interface ClusterOptions {
  readonly rendered: Rendered;
  readonly secrets: SecretData;
  readonly folder: string;
  /** Folders that stand for claims, by their names. */
  readonly claims: ReadonlyMap<string, string>;
}

const preload = fileURLToPath(new URL('./pod-hosts.mjs', import.meta.url));

/** A folder that other users can look into, as they have to where pods have users of their own. */
export function makeClusterFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'emloc-cluster-'));
  chmodSync(path, 0o755);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/**
 * The user that a container asks for, if this process may start others' processes and these can
 * start Node.
 */
export function userOf({ uid, gid }: { readonly uid: number; readonly gid: number }): ProcessUser {
  const mayStart =
    process.getuid?.() === 0 &&
    spawnSync(process.execPath, ['--version'], { uid, gid }).status === 0;
  return mayStart ? { uid, gid } : null;
}

/** Starts all pods at once, as a cluster does. */
export function startCluster({ rendered, secrets, folder, claims }: ClusterOptions): LocalCluster {
  const image = readImage();
  const user = userOf(image.user);
  const imageRoot = join(folder, 'image');
  unpackImage(image, imageRoot);
  copyFileSync(preload, join(folder, 'pod-hosts.mjs'));
  const pods = podsOf(rendered);
  const subnet = `127.${randomInt(64, 255)}.${randomInt(255)}`;
  const ips = new Map(pods.map((pod, index) => [pod.name, `${subnet}.${index + 1}`]));
  const hosts = Object.fromEntries(
    [...hostNames(rendered, pods)].map(([name, found]) => [
      name,
      found.map((pod) => ips.get(pod.name)),
    ]),
  );
  const launches = pods.map((pod) => {
    const ip = ips.get(pod.name) ?? '';
    const mounts = makeVolumes(pod, { rendered, secrets, folder, user, claims });
    const own = environmentOf(pod, { rendered, secrets });
    const onMachine = (text: string): string => toMachine(text, mounts).replaceAll('0.0.0.0', ip);
    const environment = Object.fromEntries(
      Object.entries(own).map(([name, value]) => [name, onMachine(value)]),
    );
    const program = programOf(pod, {
      image,
      imageRoot,
      hosts,
      preload: join(folder, 'pod-hosts.mjs'),
    });
    const args = (pod.container.args ?? []).map(onMachine);
    return (): RunningPod => ({
      ...pod,
      ip,
      mounts,
      ...launch([...program.command, ...args], {
        env: { ...program.environment, ...environment },
        user,
      }),
    });
  });
  return clusterOf(launches.map((start) => start()));
}

interface PodProgram {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** What a container's image starts, and with which environment of its own. */
function programOf(
  { container: { image: name = '' } }: Pod,
  {
    image,
    imageRoot,
    hosts,
    preload: file,
  }: {
    readonly image: Image;
    readonly imageRoot: string;
    readonly hosts: object;
    readonly preload: string;
  },
): PodProgram {
  if (name.startsWith('nats:')) return { command: [findNatsServer()], environment: {} };
  return {
    command: imageCommand(image, imageRoot),
    environment: {
      ...imageEnvironment(image, imageRoot),
      NODE_OPTIONS: `--import ${pathToFileURL(file).href}`,
      POD_HOSTS: JSON.stringify(hosts),
    },
  };
}

/** The image's entry point, in the folder that stands for its root. */
export function imageCommand({ entrypoint }: Image, imageRoot: string): string[] {
  return entrypoint.map((part) => (part.startsWith('/app/') ? join(imageRoot, part) : part));
}

/**
 * What a machine sets for every program on it, whoever starts it: where shared libraries are, and
 * which kernels and threads its BLAS, OpenMP and CUDA use. Results depend on the kernels to the
 * last bit, and where a library does not know the processor, programs do not run without them.
 */
const ofMachine = /^(LD_LIBRARY_PATH$|(OPENBLAS|GOTO|OMP|GOMP|KMP|MKL|BLIS|NVPL|CUDA|NVIDIA)_)/;

/**
 * The image's environment, the way to the Node that runs this, in place of the image's, and what
 * belongs to the machine; nothing else of this process's.
 */
export function imageEnvironment(
  { environment }: Image,
  imageRoot: string,
): Record<string, string> {
  const machine = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value !== undefined && ofMachine.test(name) ? [[name, value] as const] : [],
    ),
  );
  return {
    ...machine,
    ...environment,
    HOME: join(imageRoot, environment['HOME'] ?? ''),
    PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
  };
}

function launch(
  line: readonly string[],
  { env, user }: { readonly env: Readonly<Record<string, string>>; readonly user: ProcessUser },
): Pick<RunningPod, 'child' | 'ended' | 'output'> {
  const child = spawn(at(line, 0), line.slice(1), {
    cwd: '/',
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(user ?? {}),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => {
      output += text.toString();
    });
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', resolve);
    child.once('error', (error) => {
      output += error.message;
      resolve(null);
    });
  });
  return { child, ended, output: () => output };
}

function clusterOf(pods: readonly RunningPod[]): LocalCluster {
  const probe: LocalCluster['probe'] = async (pod, given) => {
    const { path = '/', port, scheme } = given?.httpGet ?? {};
    if (port === undefined || scheme !== 'HTTPS')
      throw new Error(`${pod.name}: a probe over HTTPS was expected`);
    return getPage(portOf(pod, port), path, { host: pod.ip, ca: null }).then(
      ({ status }) => status,
      () => null,
    );
  };
  const untilReady = async (pod: RunningPod): Promise<void> => {
    for (const one of [pod.container.startupProbe, pod.container.readinessProbe]) {
      await until(async () => {
        if (pod.child.exitCode !== null || pod.child.signalCode !== null)
          throw new Error(`${pod.name} ended with ${await pod.ended}: ${pod.output()}`);
        return (await probe(pod, one)) === 200;
      }, `${pod.name} is ready`);
    }
  };
  return {
    pods,
    probe,
    podsNamed: (workload) => pods.filter((pod) => pod.workload.metadata.name === workload),
    ready: async () => void (await Promise.all(pods.map(untilReady))),
    stop: async () => {
      const codes = new Map<string, number | null>();
      const isNats = ({ labels }: RunningPod): boolean =>
        labels['app.kubernetes.io/name'] === 'nats';
      for (const group of [pods.filter((pod) => !isNats(pod)), pods.filter(isNats)]) {
        for (const [name, ended] of group.map((pod) => [pod.name, stopPod(pod)] as const))
          codes.set(name, await ended);
      }
      return codes;
    },
  };
}

async function stopPod({ child, ended, spec }: RunningPod): Promise<number | null> {
  child.kill('SIGTERM');
  const graceMs = 1000 * (spec.terminationGracePeriodSeconds ?? 30);
  using _limit = systemClock.after(graceMs, () => child.kill('SIGKILL'));
  return await ended;
}
