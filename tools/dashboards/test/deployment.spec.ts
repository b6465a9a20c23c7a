import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildPrograms } from '@emloc/deployment/testing';
import { programsIn, startLocalDeployment, type LocalDeployment } from '@emloc/local-deployment';
import { randomSecret } from '@emloc/nats';
import { connect } from '@emloc/sdk';
import { until } from '@emloc/time/testing';
import { parse, stringify } from 'yaml';

import { createDashboards } from '../src/dashboards.js';
import { isPanel, queriesOf, substituted, substitutions } from '../src/queries.js';
import { startPrometheus, type PrometheusServer } from './prometheus.js';
import { prometheusFolder, readAlerts, root } from './rules.js';

/** Panels that a healthy run on the CPU leaves empty, and why. */
const emptyPanels: Readonly<Record<string, string>> = {
  'Memory of the GPU': 'there is no GPU',
  'Share of the GPU in use': 'there is no GPU',
};

const intervalMs = 250;
/** What Grafana makes of that interval: four of them. */
const rateInterval = '1s';
/**
 * Alerts wait for minutes. What they wait for may be so for a moment: a job is queued before it
 * runs.
 */
const momentSeconds = 10;
const jobCount = 2;

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  /** Of a query at one time. */
  readonly value?: readonly [number, string];
  /** Of a query over time. */
  readonly values?: readonly (readonly [number, string])[];
}

interface Result {
  readonly result: readonly Sample[];
}

const work = mkdtempSync(join(tmpdir(), 'emloc-dashboards-'));
const token = randomSecret();
let deployment: LocalDeployment | undefined;
let prometheus: PrometheusServer | undefined;
let [startSeconds, endSeconds] = [0, 0];

beforeAll(async () => {
  buildPrograms();
  deployment = await startLocalDeployment({
    program: programsIn(join(root, 'dist')),
    stateDir: join(work, 'state'),
    port: 0,
    env: { ...process.env, EMLOC_METRICS_TOKEN: token },
    flags: (service) =>
      service === 'coordinator' ? ['--model-roots', root, '--data-roots', work] : [],
  });
  prometheus = await startPrometheus({
    configFile: configure(deployment),
    dataDir: join(work, 'prometheus'),
  });
  await untilScraped();
  startSeconds = Date.now() / 1000;
  // The second job adds to what the first began to count.
  await runJobs(deployment, jobCount);
  await untilCounted();
  endSeconds = Date.now() / 1000;
});

afterAll(async () => {
  await prometheus?.stop();
  await deployment?.stop();
  rmSync(work, { recursive: true, force: true });
});

/**
 * deploy/prometheus/prometheus.yml with a token, for this deployment's ports, at a short interval.
 */
function configure(running: LocalDeployment): string {
  const shipped = readFileSync(join(prometheusFolder, 'prometheus.yml'), 'utf8');
  const withToken = shipped.replace(
    /^( *)# (authorization:)\n\1# ( +credentials_file: metrics-token)$/m,
    '$1$2\n$1$3',
  );
  expect(withToken).not.toBe(shipped);
  const config = parse(withToken) as {
    global: object;
    rule_files: string[];
    scrape_configs: [{ static_configs: [{ targets: string[] }] }];
  };
  const [first = '', ...others] = running
    .processes()
    .flatMap(({ metricsPort }) => (metricsPort === null ? [] : [`127.0.0.1:${metricsPort}`]));
  config.global = {
    scrape_interval: `${intervalMs}ms`,
    scrape_timeout: `${intervalMs}ms`,
    evaluation_interval: `${intervalMs}ms`,
  };
  config.rule_files = config.rule_files.map((files) => join(prometheusFolder, files));
  config.scrape_configs[0].static_configs[0].targets = others;
  mkdirSync(join(work, 'targets'));
  writeFileSync(join(work, 'targets', 'more.yml'), stringify([{ targets: [first] }]));
  writeFileSync(join(work, 'metrics-token'), token, { mode: 0o600 });
  const file = join(work, 'prometheus.yml');
  writeFileSync(file, stringify(config));
  return file;
}

/** Prometheus takes up its targets some seconds after it has started. */
async function untilScraped(): Promise<void> {
  let activeTargets: unknown;
  const isScraped = async (): Promise<boolean> => {
    ({ activeTargets } = await server().get<{ activeTargets: unknown }>('targets'));
    return (await valueOf('count(up == 1)')) === 5;
  };
  await until(isScraped, 'all services are scraped', { everyMs: intervalMs }).catch(
    (cause: Error) => {
      throw new Error(`${cause.message}: ${JSON.stringify(activeTargets)}`, { cause });
    },
  );
}

/** What the services have to say of the jobs is there once it was all scraped after their end. */
async function untilCounted(): Promise<void> {
  const ended = Date.now() / 1000;
  await until(
    async () =>
      (await valueOf('max(emloc_jobs{state="succeeded"})')) === jobCount &&
      (await valueOf('min(timestamp(up))')) > ended,
    'the ended jobs are counted',
    { everyMs: intervalMs },
  );
}

/** Of a query that has one value by now; NaN: it has none. */
async function valueOf(query: string): Promise<number> {
  return Number((await at(query, Date.now() / 1000))[0]?.value?.[1] ?? Number.NaN);
}

/** Jobs on a tiny model, in memory that is too small for all of its layers. */
async function runJobs({ endpoint }: LocalDeployment, count: number): Promise<void> {
  const data = join(work, 'rows.jsonl');
  writeFileSync(
    data,
    `${readFileSync(join(root, 'examples/data/train.jsonl'), 'utf8').split('\n').slice(0, 96).join('\n')}\n`,
  );
  const client = connect({ address: endpoint });
  try {
    for (let job = 0; job < count; job += 1) {
      const { name } = await client.createJob({
        options: {
          model: join(root, 'examples/models/tiny-qwen2'),
          data,
          vramBytes: 7 * 2 ** 20,
          steps: 30,
          batch: 4,
          calibrationRows: 16,
          maxLength: 64,
          refineSteps: 6,
          seed: 7,
        },
      });
      await client.waitForJob(name);
    }
  } finally {
    client.close();
  }
}

function server(): PrometheusServer {
  if (!prometheus) throw new Error('Prometheus was not started');
  return prometheus;
}

async function at(query: string, seconds: number): Promise<readonly Sample[]> {
  return (await server().get<Result>('query', { query, time: String(seconds) })).result;
}

async function during(query: string): Promise<readonly Sample[]> {
  return (
    await server().get<Result>('query_range', {
      query,
      start: String(startSeconds),
      end: String(endSeconds),
      step: String(intervalMs / 1000),
    })
  ).result;
}

function hasData(samples: readonly Sample[]): boolean {
  return samples.some(({ value, values = [] }) =>
    [...(value ? [value] : []), ...values].some(([, text]) => text !== 'NaN'),
  );
}

/** The longest time for which there was a sample at every step. */
function longestSeconds({ values = [] }: Sample): number {
  let [longest, since, before] = [0, 0, Number.NEGATIVE_INFINITY];
  for (const [seconds] of values) {
    if (seconds - before > 1.5 * (intervalMs / 1000)) since = seconds;
    longest = Math.max(longest, seconds - since + intervalMs / 1000);
    before = seconds;
  }
  return longest;
}

describe.each(createDashboards().map((dashboard) => [dashboard.title ?? '', dashboard] as const))(
  '%s',
  (_, dashboard) => {
    const values = () =>
      substitutions(dashboard, { rateInterval, range: `${Math.ceil(endSeconds - startSeconds)}s` });
    const panels = (dashboard.panels ?? [])
      .filter(isPanel)
      .map((panel) => [panel.title ?? '', panel] as const);

    test.each(panels)('%s', async (title, panel) => {
      const reason = emptyPanels[title];
      for (const { expr, instant } of queriesOf(panel)) {
        const query = substituted(expr, values());
        const samples = await (instant ? at(query, endSeconds) : during(query));
        expect({ query, reason, hasData: hasData(samples) }).toEqual({
          query,
          reason,
          hasData: reason === undefined,
        });
      }
    });

    test('has variables with values', async () => {
      const queries = (dashboard.templating.list ?? [])
        .filter(({ type, name }) => type === 'query' && name !== 'namespace')
        .map(({ query }) => substituted(String(query), values()));
      for (const query of queries) {
        const [, selector = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? [];
        expect(
          await server().get<string[]>(`label/${label}/values`, { 'match[]': selector }),
        ).toHaveLength(5);
      }
      expect(queries).toHaveLength(1);
    });
  },
);

test('panels that have no data are there', () => {
  const titles = createDashboards().flatMap(({ panels = [] }) =>
    panels.filter(isPanel).map(({ title }) => title),
  );
  expect(Object.keys(emptyPanels).filter((title) => !titles.includes(title))).toEqual([]);
});

describe('the alerts', () => {
  const alerts = readAlerts();

  test('are evaluated without errors, and inactive', async () => {
    const { groups } = await server().get<{
      groups: { rules: { name: string; health: string; lastError?: string; state: string }[] }[];
    }>('rules');
    const rules = groups.flatMap(({ rules: found }) => found);
    expect(rules.map(({ name }) => name).sort()).toEqual(alerts.map(({ alert }) => alert).sort());
    expect(rules.filter(({ health, state }) => health !== 'ok' || state !== 'inactive')).toEqual(
      [],
    );
  });

  test('have not fired', async () => {
    expect(await during('ALERTS{alertstate="firing"}')).toEqual([]);
  });

  test.each(alerts.map((rule) => [rule.alert, rule] as const))(
    '%s would hold for moments at most',
    async (_, { expr, for: wait }) => {
      const samples = await during(expr);
      expect(
        samples.filter(
          (sample) => longestSeconds(sample) > (wait === undefined ? 0 : momentSeconds),
        ),
      ).toEqual([]);
    },
  );
});
