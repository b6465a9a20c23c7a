import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { catalogue, type MetricSpec } from '@emloc/telemetry';
import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard';

import { createDashboards, fileNameOf, toJson } from './dashboards.js';
import { isPanel, queriesOf } from './queries.js';

const folder = fileURLToPath(new URL('../../../deploy/grafana/dashboards', import.meta.url));
const dashboards = createDashboards();
const panels = dashboards.flatMap((dashboard) =>
  (dashboard.panels ?? [])
    .filter(isPanel)
    .map((panel): [string, Panel] => [`${dashboard.title}: ${panel.title}`, panel]),
);
const expressions = panels.flatMap(([, panel]) => queriesOf(panel).map(({ expr }) => expr));

/** Series of the process and of Prometheus itself that panels show. */
const others = /^(up|ALERTS|nodejs_[a-z0-9_]+|process_[a-z_]+)$/;

/** The names of metrics in PromQL: what stands before a selector. */
function metricsIn(expression: string): string[] {
  return [...expression.matchAll(/([A-Za-z_:][\w:]*)\{/g)].map(([, name = '']) => name);
}

function seriesOf({ name, type }: MetricSpec): string[] {
  return type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

describe('the dashboards', () => {
  it('are in deploy/grafana/dashboards as they are made, and no others (UPDATE_DASHBOARDS=1 writes them)', () => {
    const files = () => readdirSync(folder).filter((name) => name.endsWith('.json'));
    if (process.env['UPDATE_DASHBOARDS']) {
      for (const name of files()) rmSync(join(folder, name));
      for (const dashboard of dashboards)
        writeFileSync(join(folder, fileNameOf(dashboard)), toJson(dashboard));
    }
    expect(files().sort()).toEqual(dashboards.map(fileNameOf).sort());
    for (const dashboard of dashboards)
      expect(readFileSync(join(folder, fileNameOf(dashboard)), 'utf8')).toBe(toJson(dashboard));
  });

  it('have addresses of their own, within what Grafana takes', () => {
    const uids = dashboards.map(({ uid }) => uid ?? '');
    expect(new Set(uids).size).toBe(4);
    for (const uid of uids) expect(uid).toMatch(/^[\w-]{1,40}$/);
  });

  it.each(dashboards.map((dashboard) => [dashboard.title ?? '', dashboard] as const))(
    '%s: places its panels side by side without an overlap',
    (_, { panels: placed = [] }) => {
      const cells = new Map<string, number | undefined>();
      for (const { id, gridPos = { x: 0, y: 0, w: 0, h: 0 } } of placed) {
        expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
            expect([`${x}, ${y}`, cells.get(`${x}, ${y}`)]).toEqual([`${x}, ${y}`, undefined]);
            cells.set(`${x}, ${y}`, id);
          }
        }
      }
      expect(new Set(placed.map(({ id }) => id)).size).toBe(placed.length);
    },
  );

  it.each(dashboards.map((dashboard) => [dashboard.title ?? '', dashboard] as const))(
    '%s: uses its variables, and no others',
    (_, { panels: used = [], templating: { list = [] } }) => {
      const text = JSON.stringify([
        used,
        list.map(({ query, datasource }) => ({ query, datasource })),
      ]);
      const names = new Set(
        [...text.matchAll(/\$\{?(\w+)/g)]
          .map(([, name = '']) => name)
          .filter((name) => !name.startsWith('__')),
      );
      expect([...names].sort()).toEqual(list.map(({ name }) => name).sort());
    },
  );

  it('link to each other', () => {
    for (const { links = [], tags = [] } of dashboards)
      expect([
        tags,
        links.map((link) => [
          link.type,
          link.tags,
          link.includeVars,
          link.keepTime,
          link.placement,
        ]),
      ]).toEqual([['emloc'], [['dashboards', ['emloc'], true, true, undefined]]]);
  });
});

describe('the panels', () => {
  it('are there', () => {
    expect(panels.length).toBeGreaterThan(30);
    expect(new Set(panels.map(([name]) => name)).size).toBe(panels.length);
  });

  it.each(panels)('%s: says what it shows, in a unit, with a name for each series', (_, panel) => {
    expect(panel.description).toMatch(/^[A-Z].+\.$/);
    expect(panel.fieldConfig?.defaults.unit).toMatch(/./);
    expect(panel.datasource).toEqual({ type: 'prometheus', uid: '${datasource}' });
    const queries = queriesOf(panel);
    expect(queries.length).toBeGreaterThan(0);
    for (const query of queries) {
      expect(query.legendFormat).toMatch(/./);
      expect(query.datasource).toEqual({ type: 'prometheus', uid: '${datasource}' });
    }
    expect(new Set(queries.map(({ refId }) => refId)).size).toBe(queries.length);
  });

  it.each(Object.values<MetricSpec>(catalogue).map((spec) => [spec.name, spec] as const))(
    'show %s',
    (_, spec) => {
      expect(
        seriesOf(spec).some((series) =>
          expressions.some((expression) => metricsIn(expression).includes(series)),
        ),
      ).toBe(true);
    },
  );

  it('show nothing that is not in the catalogue, but what Node and Prometheus tell', () => {
    const known = new Set(Object.values<MetricSpec>(catalogue).flatMap(seriesOf));
    const unknown = expressions
      .flatMap(metricsIn)
      .filter((name) => !known.has(name) && !others.test(name));
    expect(unknown).toEqual([]);
  });

  it('take rates of counters only', () => {
    const counters = Object.values<MetricSpec>(catalogue).flatMap((spec) =>
      spec.type === 'counter' ? [spec.name] : spec.type === 'histogram' ? seriesOf(spec) : [],
    );
    const rated = expressions.flatMap((expression) =>
      [...expression.matchAll(/(?:rate|increase)\((\w+)\{/g)].map(([, name = '']) => name),
    );
    expect(rated.length).toBeGreaterThan(10);
    expect(
      rated.filter(
        (name) =>
          !counters.includes(name) &&
          !/^(nodejs_gc_duration_seconds_sum|process_cpu_seconds_total)$/.test(name),
      ),
    ).toEqual([]);
  });
});
