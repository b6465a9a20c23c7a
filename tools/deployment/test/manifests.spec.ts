import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serviceNames } from '@emloc/local-deployment';
import { natsServerEnvironment } from '@emloc/nats';
import type { IPodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { parse } from 'yaml';

import {
  manifestCertificates,
  type ManifestCertificate,
} from '../src/certificates/manifest-certificates.js';
import { makeSecrets } from '../src/secrets/make-secrets.js';
import { buildPrograms, root } from '../src/testing/index.js';
import { environmentOf, type SecretData } from './cluster/environment.js';
import { readImage } from './cluster/image.js';
import { makeClusterFolder } from './cluster/local-cluster.js';
import {
  kubernetesFolder,
  render,
  type Manifest,
  type Named,
  type Rendered,
} from './cluster/manifests.js';
import { connectionsOf, hostNames, mayConnect, peerOf, stranger } from './cluster/network.js';
import { podsOf, portOf, selects, type Pod } from './cluster/pods.js';
import { schemaProblems } from './cluster/schema.js';
import { serviceOptions } from './cluster/service-options.js';
import { makeVolumes } from './cluster/volumes.js';

const everything = fileURLToPath(new URL('./kustomizations/everything', import.meta.url));
const folder = makeClusterFolder();
const certificates = manifestCertificates();
let secrets: SecretData;

beforeAll(() => {
  buildPrograms();
  const made = makeSecrets({
    out: join(folder.path, 'secrets'),
    namespace: 'emloc',
    tenants: ['team'],
    certificates: { days: 1, coordinatorNames: [] },
  });
  secrets = new Map(made.map(({ metadata: { name }, stringData }) => [name, stringData]));
}, 240_000);
afterAll(() => folder.remove());

function certificateOf(name: string): ManifestCertificate {
  const found = certificates.find((one) => one.name === name);
  if (!found) throw new Error(`there is no certificate ${name}`);
  return found;
}

function bytes(quantity: string): number {
  const [, digits, unit = ''] = /^(\d+)(\w*)$/.exec(quantity) ?? [];
  // The API's Gi; GB and MB are nats-server's, which counts in 1024s.
  const scale = { Mi: 2 ** 20, Gi: 2 ** 30, MB: 2 ** 20, GB: 2 ** 30 }[unit];
  if (digits === undefined || scale === undefined) throw new Error(`size ${quantity}`);
  return Number(digits) * scale;
}

const nameOf = (pod: Pod): string => pod.workload.metadata.name;
const isService = ({ container }: Pod): boolean => container.name === 'service';

describe.each([['base'], ['overlays/gpu'], ['overlays/minimal'], [everything]])('%s', (path) => {
  let rendered: Rendered;
  let pods: Pod[];
  const environment = (pod: Pod): Record<string, string> =>
    environmentOf(pod, { rendered, secrets });

  beforeAll(() => {
    rendered = render(path);
    pods = podsOf(rendered);
  });

  test('is what the API knows, and holds no secrets', async () => {
    expect(rendered.all.length).toBeGreaterThan(25);
    for (const manifest of rendered.all)
      expect([manifest.kind, manifest.metadata.name, ...(await schemaProblems(manifest))]).toEqual([
        manifest.kind,
        manifest.metadata.name,
      ]);
    expect(rendered.all.filter(({ kind }) => kind === 'Secret')).toEqual([]);
    expect(
      rendered.all.filter(
        ({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace !== 'emloc',
      ),
    ).toEqual([]);
  });

  test('runs every service and NATS, each once or as replicas that can be told apart', () => {
    expect(rendered.workloads.map(({ metadata }) => metadata.name).sort()).toEqual(
      [...serviceNames, 'nats'].sort(),
    );
    for (const { spec, metadata } of rendered.workloads)
      expect([
        metadata.name,
        selects(spec?.selector ?? {}, spec?.template?.metadata?.labels ?? {}),
      ]).toEqual([metadata.name, true]);
    for (const { name, replicas } of rendered.workloads.map(({ metadata, spec }) => ({
      name: metadata.name,
      replicas: spec?.replicas,
    }))) {
      if (name === 'calibrator' || name === 'trainer' || name === 'nats')
        expect([name, replicas]).toEqual([name, 1]);
    }
  });

  test('configures services by options that they have', () => {
    const checked = pods.filter(isService).map((pod) => {
      const options = serviceOptions(nameOf(pod));
      const own = environment(pod);
      const unknown = Object.keys(own).filter(
        (name) => name.startsWith('EMLOC_') && !options.has(name),
      );
      const other = Object.keys(own).filter((name) => !name.startsWith('EMLOC_'));
      expect([pod.name, unknown, pod.container.args]).toEqual([pod.name, [], [nameOf(pod)]]);
      // Where compiled kernels are kept: libs/device-cuda.
      expect(other.filter((name) => name !== 'XDG_CACHE_HOME')).toEqual([]);
      return Object.keys(own).length;
    });
    expect(Math.min(...checked)).toBeGreaterThan(15);
  });

  test('gives nats-server the variables of its configuration, and those that make it fast', () => {
    const [nats] = pods.filter((pod) => nameOf(pod) === 'nats');
    if (!nats) throw new Error('there is no NATS');
    const config = readFileSync(join(kubernetesFolder, 'base/nats-server.conf'), 'utf8');
    const variables = [...config.matchAll(/: (\$\w+)/g)].map(([, name = '']) => name.slice(1));
    expect(variables).toHaveLength(1 + serviceNames.length);
    const own = environment(nats);
    expect(Object.keys(own).sort()).toEqual(
      [...variables, ...Object.keys(natsServerEnvironment)].sort(),
    );
    expect(own).toMatchObject(natsServerEnvironment);
    const [template] =
      (
        nats.workload.spec as {
          volumeClaimTemplates?: readonly {
            spec?: { resources?: { requests?: Record<string, string> } };
          }[];
        }
      ).volumeClaimTemplates ?? [];
    expect(bytes(own['NATS_MAX_FILE_STORE'] ?? '')).toBeLessThan(
      bytes(template?.spec?.resources?.requests?.['storage'] ?? ''),
    );
  });

  test('refers to Secrets, ConfigMaps, claims, accounts and Services that are there', () => {
    const claims = new Map(
      rendered.claims.map(({ metadata: { name } }) => [name, join(folder.path, name)]),
    );
    const place = join(folder.path, path.replaceAll('/', '-'));
    mkdirSync(place, { recursive: true });
    for (const pod of pods) {
      const mounts = makeVolumes(pod, { rendered, secrets, folder: place, user: null, claims });
      // Every file that the environment names is in one of the mounts.
      const files = Object.values(environment(pod)).filter((value) => value.startsWith('/'));
      expect([
        pod.name,
        files.filter(
          (file) =>
            ![...mounts.keys()].some((mount) => file === mount || file.startsWith(`${mount}/`)),
        ),
      ]).toEqual([pod.name, []]);
      expect(
        rendered.serviceAccounts.filter(
          ({ metadata: { name }, automountServiceAccountToken }) =>
            name === pod.spec.serviceAccountName && automountServiceAccountToken === false,
        ),
      ).toHaveLength(1);
    }
    for (const { kind, metadata, spec } of rendered.workloads) {
      if (kind !== 'StatefulSet') continue;
      const service = rendered.services.find(
        ({ metadata: { name } }) => name === (spec as { serviceName?: string }).serviceName,
      );
      expect([metadata.name, service?.spec?.clusterIP]).toEqual([metadata.name, 'None']);
    }
    for (const { metadata, spec } of rendered.services) {
      const chosen = pods.filter((pod) =>
        selects({ matchLabels: spec?.selector ?? {} }, pod.labels),
      );
      expect([metadata.name, [...new Set(chosen.map(nameOf))]]).toEqual([
        metadata.name,
        [metadata.name],
      ]);
      for (const pod of chosen)
        for (const { port, targetPort } of spec?.ports ?? [])
          expect(portOf(pod, targetPort ?? port)).toBe(port);
    }
  });

  test('restricts every pod: not root, a root that is read only, no rights, no token, limits, probes', () => {
    const {
      user: { uid, gid },
    } = readImage();
    for (const { name, spec, container } of pods) {
      expect([name, spec]).toEqual([
        name,
        expect.objectContaining({
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: uid,
            runAsGroup: gid,
            fsGroup: gid,
            fsGroupChangePolicy: 'OnRootMismatch',
            seccompProfile: { type: 'RuntimeDefault' },
          },
        }),
      ]);
      expect([name, container.securityContext]).toEqual([
        name,
        {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
      ]);
      for (const kind of ['requests', 'limits'] as const)
        expect([name, container.resources?.[kind]]).toEqual([
          name,
          expect.objectContaining({
            cpu: expect.any(String) as unknown,
            memory: expect.any(String) as unknown,
          }),
        ]);
      expect([
        name,
        container.startupProbe?.httpGet,
        container.livenessProbe?.httpGet,
        container.readinessProbe?.httpGet,
      ]).toEqual([
        name,
        ...Array.from({ length: 3 }, () => expect.objectContaining({ scheme: 'HTTPS' }) as unknown),
      ]);
      expect([name, container.image]).toEqual([
        name,
        expect.stringMatching(/^[\w./-]+:\d+\.\d+\.\d+[\w.-]*$/),
      ]);
      const volumes = spec.volumes ?? [];
      for (const { emptyDir } of volumes)
        if (emptyDir)
          expect([name, emptyDir.sizeLimit]).toEqual([name, expect.stringMatching(/^\d+[MG]i$/)]);
      const writable = (container.volumeMounts ?? [])
        .filter(({ readOnly }) => !readOnly)
        .map((mount) => mount.name);
      expect([
        name,
        writable.filter((one) => volumes.some((volume) => volume.name === one && !volume.emptyDir)),
      ]).toEqual([name, []]);
    }
  });

  test('gives services the time that they ask for, and disruptions a replica to take', () => {
    for (const pod of pods.filter(isService))
      expect(pod.spec.terminationGracePeriodSeconds).toBeGreaterThan(
        Number(/^(\d+)s$/.exec(environment(pod)['EMLOC_GRACE'] ?? '')?.[1]) + 10,
      );
    const replicated = rendered.workloads
      .filter(({ spec }) => (spec?.replicas ?? 1) > 1)
      .map(({ metadata }) => metadata.name);
    expect(rendered.disruptionBudgets.map(({ metadata }) => metadata.name).sort()).toEqual(
      replicated.sort(),
    );
    for (const { metadata, spec } of rendered.disruptionBudgets) {
      expect([
        metadata.name,
        spec?.maxUnavailable,
        new Set(pods.filter((pod) => selects(spec?.selector ?? {}, pod.labels)).map(nameOf)),
      ]).toEqual([metadata.name, 1, new Set([metadata.name])]);
    }
  });

  test('tells the coordinator of every replica, by names that certificates have', () => {
    const names = hostNames(rendered, pods);
    for (const pod of pods.filter(isService)) {
      const own = environment(pod);
      if (nameOf(pod) === 'coordinator') {
        const expected = (stage: string): string =>
          pods
            .filter((one) => nameOf(one) === stage)
            .map((one) => `${one.name}.${stage}:${portOf(one, 'grpc')}`)
            .join(',');
        expect([own['EMLOC_EMULATOR_BUILDER_ADDRESS'], own['EMLOC_CORRECTOR_ADDRESS']]).toEqual([
          expected('emulator-builder'),
          expected('corrector'),
        ]);
      } else {
        expect([own['EMLOC_COORDINATOR_NAMES'], certificateOf('coordinator').usages]).toEqual([
          certificateOf('coordinator').commonName,
          expect.arrayContaining(['client auth']),
        ]);
      }
    }
    const connections = connectionsOf(rendered, pods, environment);
    expect(connections.length).toBeGreaterThanOrEqual(9);
    for (const { host, to } of connections) {
      const { dnsNames, usages } = certificateOf(nameOf(to));
      expect([host, dnsNames.includes(host), usages.includes('server auth')]).toEqual([
        host,
        true,
        true,
      ]);
      expect((to.spec.volumes ?? []).map(({ secret }) => secret?.secretName)).toContain(
        certificateOf(nameOf(to)).secretName,
      );
    }
    expect([...names.keys()].length).toBeGreaterThanOrEqual(8);
  });

  test('lets through the connections that are made, and no others', () => {
    const made = new Set(
      connectionsOf(rendered, pods, environment).map(
        ({ from, to, port }) => `${from.name} > ${to.name}:${port}`,
      ),
    );
    const ports = (pod: Pod): number[] =>
      (pod.container.ports ?? []).map(({ containerPort }) => containerPort);
    const possible = pods.flatMap((from) =>
      pods
        .filter((to) => to !== from)
        .flatMap((to) => ports(to).map((port) => ({ from, to, port }))),
    );
    const allowed = possible
      .filter(({ from, to, port }) =>
        mayConnect(rendered, { from: peerOf(from), to: peerOf(to), port }),
      )
      .map(({ from, to, port }) => `${from.name} > ${to.name}:${port}`);
    expect(new Set(allowed)).toEqual(made);

    const outside = {
      dns: { 'kubernetes.io/metadata.name': 'kube-system' },
      monitoring: { 'kubernetes.io/metadata.name': 'monitoring' },
      clients: { 'emloc-clients': 'allowed' },
      others: { 'kubernetes.io/metadata.name': 'default' },
    };
    for (const to of pods) {
      const reached = (labels: Readonly<Record<string, string>>): number[] =>
        ports(to).filter((port) =>
          mayConnect(rendered, { from: stranger(labels), to: peerOf(to), port }),
        );
      expect([to.name, reached(outside.monitoring)]).toEqual([
        to.name,
        isService(to) ? [portOf(to, 'metrics')] : [],
      ]);
      expect([to.name, reached(outside.clients)]).toEqual([
        to.name,
        nameOf(to) === 'coordinator' ? [portOf(to, 'grpc')] : [],
      ]);
      expect([to.name, reached(outside.others), reached(outside.dns)]).toEqual([to.name, [], []]);
    }
    for (const from of pods) {
      const reaches = (
        labels: Readonly<Record<string, string>>,
        port: number,
        protocol: string,
        podLabels: Readonly<Record<string, string>> = { 'k8s-app': 'kube-dns' },
      ): boolean =>
        mayConnect(rendered, {
          from: peerOf(from),
          to: stranger(labels, podLabels),
          port,
          protocol,
        });
      expect([
        from.name,
        reaches(outside.dns, 53, 'UDP'),
        reaches(outside.dns, 53, 'TCP'),
        reaches(outside.dns, 53, 'UDP', { 'k8s-app': 'something-else' }),
        reaches(outside.dns, 443, 'TCP'),
        reaches(outside.others, 53, 'UDP'),
        reaches(outside.others, 443, 'TCP'),
      ]).toEqual([from.name, isService(from), isService(from), false, false, false, false]);
    }
  });

  test('gives the stages equal numbers of threads, and devices names that tell what is shared', () => {
    const stages = pods
      .filter((pod) => pod.labels['app.kubernetes.io/component'] === 'stage')
      .map((pod) => ({ pod, own: environment(pod) }));
    expect(new Set(stages.map(({ own }) => own['EMLOC_THREADS'])).size).toBe(1);
    const onGpus = path.endsWith('gpu') || path === everything;
    for (const { pod, own } of stages) {
      expect([
        pod.name,
        pod.container.resources?.limits?.['nvidia.com/gpu'],
        own['EMLOC_DEVICE'],
      ]).toEqual([pod.name, ...(onGpus ? ['1', 'cuda'] : [undefined, 'cpu'])]);
      expect(pod.container.image?.endsWith('-cuda')).toBe(onGpus);
    }
    const [coordinator] = pods.filter((pod) => nameOf(pod) === 'coordinator');
    expect(coordinator && environment(coordinator)['EMLOC_PLAN_DEVICE']).toBe(
      onGpus ? 'cuda' : 'cpu',
    );
  });
});

test('the pod through which models are copied may write to their volume, and nothing else', async () => {
  const [
    base,
    {
      all: [loader, ...others],
    },
  ] = [render('base'), render('model-loader')];
  expect(others).toEqual([]);
  if (!loader) throw new Error('there is no pod');
  expect(await schemaProblems(loader)).toEqual([]);
  const { metadata, spec } = loader as Named<{ spec: Pod['spec'] }>;
  const [service] = podsOf(base).filter(isService);
  const { securityContext, automountServiceAccountToken, enableServiceLinks } = service?.spec ?? {};
  expect({ namespace: metadata.namespace, ...spec }).toMatchObject({
    namespace: base.claims[0]?.metadata.namespace,
    securityContext,
    automountServiceAccountToken,
    enableServiceLinks,
  });
  expect(spec.containers.map((container) => container.securityContext)).toEqual([
    service?.container.securityContext,
  ]);
  expect(spec.volumes).toEqual([
    { name: 'models', persistentVolumeClaim: { claimName: base.claims[0]?.metadata.name } },
  ]);
});

test('the monitoring component scrapes every service, by the names of their certificates', () => {
  const rendered = render(everything);
  const [pods, monitors] = [
    podsOf(rendered),
    rendered.all.filter(({ kind }) => kind === 'PodMonitor') as Named<IPodMonitor>[],
  ];
  expect(monitors.map(({ metadata }) => metadata.name).sort()).toEqual([...serviceNames].sort());
  for (const {
    metadata: { name },
    spec,
  } of monitors) {
    const chosen = pods.filter((pod) =>
      selects(spec?.selector as Parameters<typeof selects>[0], pod.labels),
    );
    const [endpoint] = spec?.podMetricsEndpoints ?? [];
    expect([name, [...new Set(chosen.map(nameOf))]]).toEqual([name, [name]]);
    for (const pod of chosen)
      expect(portOf(pod, endpoint?.port ?? '')).toBe(
        Number(pod.workload.spec?.template?.metadata?.annotations?.['prometheus.io/port']),
      );
    expect(certificateOf(name).dnsNames).toContain(endpoint?.tlsConfig?.serverName);
    const { credentials } = endpoint?.authorization ?? {};
    for (const { name: secret = '', key = '' } of [
      credentials ?? {},
      endpoint?.tlsConfig?.ca?.secret ?? {},
    ])
      expect([secret, key, secrets.get(secret)?.[key]]).toEqual([secret, key, expect.any(String)]);
  }
});

test('the cert-manager component makes the Secrets that are mounted', () => {
  const objects = render(everything).all.filter(({ apiVersion }) =>
    apiVersion.startsWith('cert-manager.io/'),
  ) as Named<{
    spec: { secretName: string; issuerRef?: { name: string }; ca?: { secretName: string } };
  }>[];
  const issuers = new Map(
    objects.filter(({ kind }) => kind === 'Issuer').map((issuer) => [issuer.metadata.name, issuer]),
  );
  const made = objects.filter(({ kind }) => kind === 'Certificate');
  for (const { spec } of made) expect(issuers.has(spec.issuerRef?.name ?? '')).toBe(true);
  for (const { spec } of issuers.values())
    if (spec.ca) expect(made.map((one) => one.spec.secretName)).toContain(spec.ca.secretName);
  expect(new Set(made.map(({ spec }) => spec.secretName))).toEqual(
    new Set(['authority', ...[...secrets.keys()].filter((name) => name.endsWith('-tls'))]),
  );
});

test('the version of the image is that of the programs', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  const tags = (path: string): Record<string, string | undefined> =>
    Object.fromEntries(
      (
        parse(readFileSync(join(kubernetesFolder, path, 'kustomization.yaml'), 'utf8')) as {
          images: { name: string; newTag?: string }[];
        }
      ).images.map(({ name, newTag }) => [name, newTag]),
    );
  expect([
    tags('base')['emloc'],
    tags('model-loader')['emloc'],
    tags('overlays/gpu')['emloc-cuda'],
  ]).toEqual([version, version, `${version}-cuda`]);
});

test('every file belongs to the kustomization beside it', () => {
  const files = readdirSync(kubernetesFolder, { recursive: true, encoding: 'utf8' }).filter(
    (file) => /\.(yaml|env|conf)$/.test(file) && !file.endsWith('kustomization.yaml'),
  );
  expect(files.length).toBeGreaterThan(15);
  const unused = files.filter((file) => {
    const slash = file.lastIndexOf('/');
    return !readFileSync(
      join(kubernetesFolder, file.slice(0, slash), 'kustomization.yaml'),
      'utf8',
    ).includes(file.slice(slash + 1));
  });
  expect(unused).toEqual([]);
});

test('the schema is strict: a wrong type, a field that is missing and one that is misspelt are found', async () => {
  const account = (more: object): Manifest => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'a', labels: { b: 'c' } },
    ...more,
  });
  expect(await schemaProblems(account({ automountServiceAccountToken: false }))).toEqual([]);
  expect(await schemaProblems(account({ automountServiceAccountToken: 'no' }))).toEqual([
    expect.stringContaining('automountServiceAccountToken'),
  ]);
  expect(await schemaProblems(account({ automountServiceAccountTokens: false }))).toEqual([
    '/automountServiceAccountTokens is no field',
  ]);
  expect(
    await schemaProblems({ apiVersion: 'v1', kind: 'ServiceAcount', metadata: { name: 'a' } }),
  ).toEqual(['v1 has no ServiceAcount']);
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'a' },
    spec: {
      selector: {},
      template: {
        spec: { containers: [{ name: 'a', securityContext: { readOnlyRootFileSystem: true } }] },
      },
    },
  };
  expect(await schemaProblems(deployment)).toEqual([
    '/spec/template/spec/containers/0/securityContext/readOnlyRootFileSystem is no field',
  ]);
  expect(await schemaProblems({ ...deployment, spec: { selector: {} } } as Manifest)).toEqual([
    expect.stringContaining('template'),
  ]);
});
