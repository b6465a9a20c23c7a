import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';

import { promtool } from './prometheus.js';
import { prometheusFolder, readAlerts, root, ruleFiles, yamlFiles } from './rules.js';

interface AlertTest {
  readonly alertname: string;
  readonly exp_alerts: readonly unknown[];
}

const alerts = readAlerts();
const names = alerts.map(({ alert }) => alert);
const testFiles = yamlFiles(join(prometheusFolder, 'tests'));
const operations = readFileSync(join(root, 'docs/operate/operations.md'), 'utf8');

function testsIn(file: string): AlertTest[] {
  return (
    parse(readFileSync(file, 'utf8')) as { tests: { alert_rule_test: AlertTest[] }[] }
  ).tests.flatMap(({ alert_rule_test: tests }) => tests);
}

/**
 * Debian's Prometheus is built without the discovery of targets on Kubernetes, and refuses its
 * options.
 */
function withoutKubernetes(text: string): string {
  const config = parse(text) as { scrape_configs: Record<string, unknown>[] };
  const scrapes = config.scrape_configs.map(({ kubernetes_sd_configs: discovery, ...scrape }) => {
    expect(discovery).toEqual([{ role: 'pod', namespaces: { names: ['emloc'] } }]);
    return { ...scrape, static_configs: [{ targets: ['127.0.0.1:7170'] }] };
  });
  return stringify({ ...config, scrape_configs: scrapes });
}

/** As GitHub and other renderers of Markdown name a section. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}

describe('deploy/prometheus', () => {
  it('is a configuration with valid rules', () => {
    expect(promtool('check', 'config', join(prometheusFolder, 'prometheus.yml'))).toContain(
      'SUCCESS',
    );
    expect(promtool('check', 'rules', ...ruleFiles).match(/rules found/g)).toHaveLength(
      ruleFiles.length,
    );
  });

  it('passes its own tests', () => {
    const told = promtool('test', 'rules', ...testFiles);
    expect(told.match(/SUCCESS/g)).toHaveLength(testFiles.length);
  });

  it('reads the ports that the services have by default', () => {
    const {
      scrape_configs: [scrape],
    } = parse(readFileSync(join(prometheusFolder, 'prometheus.yml'), 'utf8')) as {
      scrape_configs: { static_configs: { targets: string[] }[] }[];
    };
    const ports = [
      ...readFileSync(join(root, 'services/README.md'), 'utf8').matchAll(/\| 70\d\d, (\d+) \|/g),
    ].map(([, port = '']) => port);
    expect(ports).toHaveLength(5);
    expect(scrape?.static_configs[0]?.targets).toEqual(ports.map((port) => `127.0.0.1:${port}`));
  });
});

describe('the alerts', () => {
  it('have names of their own', () => {
    expect(names.length).toBeGreaterThan(10);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(alerts.map((rule) => [rule.alert, rule] as const))(
    '%s: says how bad it is, what it is and where to read on',
    (name, { labels = {}, annotations = {} }) => {
      expect(name).toMatch(/^Emloc[A-Z][A-Za-z]+$/);
      expect(['critical', 'warning', 'info']).toContain(labels['severity']);
      expect(annotations['summary']).toMatch(/[^.]$/);
      expect(annotations['description']).toMatch(/\.$/);
      expect(annotations['runbook']).toBe(`docs/operate/operations.md#${anchorOf(name)}`);
    },
  );

  it.each(names)(
    '%s: has a section in docs/operate/operations.md, and a test for when it fires and when not',
    (name) => {
      const headings = [...operations.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
        anchorOf(heading),
      );
      expect(headings.filter((heading) => heading === anchorOf(name))).toHaveLength(1);
      const expected = testFiles
        .flatMap(testsIn)
        .filter(({ alertname }) => alertname === name)
        .map(({ exp_alerts: { length } }) => length > 0);
      expect(new Set(expected)).toEqual(new Set([true, false]));
    },
  );

  it('have tests for no others, which promtool would pass over', () => {
    expect(
      [...new Set(testFiles.flatMap(testsIn).map(({ alertname }) => alertname))].sort(),
    ).toEqual([...names].sort());
  });
});

describe('docs/operate/operations.md', () => {
  it('has configurations that are valid', () => {
    const examples = [...operations.matchAll(/```yaml\n(# prometheus\.yml[^]*?)```/g)].map(
      ([, text = '']) => text,
    );
    expect(examples.length).toBeGreaterThan(0);
    const folder = mkdtempSync(join(tmpdir(), 'emloc-promtool-'));
    try {
      for (const text of examples) {
        const file = join(folder, 'prometheus.yml');
        writeFileSync(file, withoutKubernetes(text));
        expect(promtool('check', 'config', '--syntax-only', file)).toContain('SUCCESS');
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('tells of no alert that there is not', () => {
    const told = [...operations.matchAll(/\bEmloc[A-Z]\w+/g)].map(([name]) => name);
    expect([...new Set(told)].sort()).toEqual([...names].sort());
  });
});
