import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { connect, type EmlocClient } from '@emloc/sdk';
import { parseAllDocuments } from 'yaml';

import { buildPrograms, dist, getPage, root } from '../src/testing/index.js';
import type { SecretData } from './cluster/environment.js';
import { makeClusterFolder, startCluster, type LocalCluster } from './cluster/local-cluster.js';
import { render } from './cluster/manifests.js';
import { portOf } from './cluster/pods.js';

// Every pod has an address of its own in 127.0.0.0/8, all of which is this machine on Linux alone.
const describeOnLinux = process.platform === 'linux' ? describe : describe.skip;

/** Makes Secrets as a user does. */
function makeSecrets(out: string): SecretData {
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(dist, 'deployment/deployment.mjs'), 'secrets', '--out', out, '--tenant', 'team'],
    { encoding: 'utf8' },
  );
  expect([status, stderr]).toEqual([0, '']);
  const objects = parseAllDocuments(readFileSync(join(out, 'secrets.yaml'), 'utf8')).map(
    (document) =>
      document.toJS() as { metadata: { name: string }; stringData: Record<string, string> },
  );
  return new Map(objects.map(({ metadata: { name }, stringData }) => [name, stringData]));
}

describeOnLinux('the base, as processes of this machine', () => {
  const folder = makeClusterFolder();
  const [models, secretsFolder] = [
    join(folder.path, 'claims/models'),
    join(folder.path, 'secrets'),
  ];
  let secrets: SecretData;
  let cluster: LocalCluster;
  const clients: EmlocClient[] = [];

  beforeAll(async () => {
    buildPrograms();
    secrets = makeSecrets(secretsFolder);
    mkdirSync(models, { recursive: true });
    cpSync(join(root, 'examples/models/tiny-qwen2'), join(models, 'tiny-qwen2'), {
      recursive: true,
    });
    cluster = startCluster({
      rendered: render('base'),
      secrets,
      folder: folder.path,
      claims: new Map([['models', models]]),
    });
    await cluster.ready();
  });

  afterAll(async () => {
    for (const client of clients) client.close();
    await cluster?.stop();
    folder.remove();
  });

  /**
   * A client of one of the coordinators, which trusts what the manifests say is the coordinator's
   * name.
   */
  function client(token: string | null, index = 0): EmlocClient {
    const pod = cluster.podsNamed('coordinator')[index];
    if (!pod) throw new Error(`there is no coordinator ${index}`);
    const made = connect({
      address: `${pod.ip}:${portOf(pod, 'grpc')}`,
      token,
      tls: { ca: secrets.get('coordinator-tls')?.['ca.crt'], serverName: 'coordinator' },
    });
    clients.push(made);
    return made;
  }

  test('every pod passes the probes that it is asked', async () => {
    expect(cluster.pods.map(({ name }) => name).sort()).toEqual([
      'calibrator-0',
      'coordinator-0',
      'coordinator-1',
      'corrector-0',
      'corrector-1',
      'emulator-builder-0',
      'emulator-builder-1',
      'nats-0',
      'trainer-0',
    ]);
    for (const pod of cluster.pods) {
      const { startupProbe, livenessProbe, readinessProbe } = pod.container;
      const found = await Promise.all(
        [startupProbe, livenessProbe, readinessProbe].map((probe) => cluster.probe(pod, probe)),
      );
      expect([pod.name, ...found]).toEqual([pod.name, 200, 200, 200]);
    }
  });

  test("a tenant's job comes through, and both coordinators know it", async () => {
    const token = readFileSync(join(secretsFolder, 'tenants/team'), 'utf8');
    const [data, out] = [join(folder.path, 'rows.jsonl'), join(folder.path, 'adapter')];
    writeFileSync(
      data,
      readFileSync(join(root, 'examples/data/train.jsonl'), 'utf8')
        .split('\n')
        .slice(0, 64)
        .join('\n'),
    );
    const { name: dataset } = await client(token).uploadDataset(data);
    const options = {
      model: join(models, 'tiny-qwen2'),
      data: { dataset },
      vramBytes: 64 * 2 ** 20,
      steps: 6,
      batch: 4,
      calibrationRows: 8,
      maxLength: 64,
      refineSteps: 2,
      seed: 7,
    };
    const { name } = await client(token).createJob({ options });
    expect(await client(token, 1).waitForJob(name)).toMatchObject({ state: 'succeeded' });
    await client(token, 1).downloadJob(name, out);
    expect(readdirSync(out)).toEqual(
      expect.arrayContaining(['adapter_config.json', 'adapter_model.safetensors']),
    );
  });

  test('who has no token, or is told another name, gets nothing', async () => {
    await expect(client(null).listJobsPage()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    for (const pod of cluster.podsNamed('coordinator')) {
      const ca = Buffer.from(secrets.get('coordinator-tls')?.['ca.crt'] ?? '');
      const page = (serverName: string) =>
        getPage(portOf(pod, 'metrics'), '/livez', { host: pod.ip, ca, serverName });
      expect((await page('coordinator.emloc.svc')).status).toBe(200);
      await expect(page('trainer')).rejects.toThrow(/trainer/);
    }
  });

  test('metrics are where the annotations say, for whoever has the token', async () => {
    const token = secrets.get('metrics-token')?.['token'];
    const annotated = cluster.pods.filter(
      (pod) =>
        pod.workload.spec?.template?.metadata?.annotations?.['prometheus.io/scrape'] === 'true',
    );
    expect(annotated).toHaveLength(8);
    for (const pod of annotated) {
      const {
        'prometheus.io/port': port,
        'prometheus.io/path': path = '',
        'prometheus.io/scheme': scheme,
      } = pod.workload.spec?.template?.metadata?.annotations ?? {};
      const page = (given?: string) =>
        getPage(Number(port), path, { host: pod.ip, ca: null, token: given });
      expect([scheme, (await page()).status]).toEqual(['https', 401]);
      expect((await page(token)).body).toContain('emloc_build_info');
    }
  });

  test('told to stop, every service saves what it has, ends in its time with 0 and leaves nothing in its scratch folder', async () => {
    const codes = await cluster.stop();
    const services = cluster.pods.filter(({ container }) => container.name === 'service');
    expect(services.map(({ name }) => [name, codes.get(name)])).toEqual(
      services.map(({ name }) => [name, 0]),
    );
    for (const { mounts } of services)
      expect(readdirSync(mounts.get('/scratch') ?? '')).toEqual([]);
    const [nats] = cluster.podsNamed('nats');
    expect(existsSync(join(nats?.mounts.get('/data') ?? '', 'jetstream'))).toBe(true);
  });
});
