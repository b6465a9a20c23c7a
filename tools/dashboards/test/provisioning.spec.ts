import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

import { prometheusFolder, root } from './rules.js';

const read = <T>(...path: string[]): T => parse(readFileSync(join(root, ...path), 'utf8')) as T;

describe('deploy/grafana/provisioning', () => {
  it('has a data source of the kind that dashboards choose from, with the scrape interval of deploy/prometheus', () => {
    const { apiVersion, datasources } = read<{
      apiVersion: number;
      datasources: { type: string; url: string; jsonData: Record<string, string> }[];
    }>('deploy/grafana/provisioning/datasources/prometheus.yml');
    const { global } = parse(readFileSync(join(prometheusFolder, 'prometheus.yml'), 'utf8')) as {
      global: { scrape_interval: string };
    };
    expect(apiVersion).toBe(1);
    expect(datasources).toHaveLength(1);
    expect(datasources[0]).toMatchObject({
      type: 'prometheus',
      url: 'http://127.0.0.1:9090',
      jsonData: { timeInterval: global.scrape_interval },
    });
  });

  it('finds the dashboards where docs/operate/operations.md mounts them', () => {
    const { apiVersion, providers } = read<{
      apiVersion: number;
      providers: { type: string; options: { path: string } }[];
    }>('deploy/grafana/provisioning/dashboards/emloc.yml');
    expect([apiVersion, providers.map(({ type }) => type)]).toEqual([1, ['file']]);
    expect(readFileSync(join(root, 'docs/operate/operations.md'), 'utf8')).toContain(
      `/deploy/grafana/dashboards:${providers[0]?.options.path}:ro`,
    );
  });
});
