import { serviceNames } from '@emloc/local-deployment';
import { labelValues } from '@emloc/telemetry';
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  CustomVariableBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
  type Dashboard,
  type Panel,
  type VariableModel,
} from '@grafana/grafana-foundation-sdk/dashboard';

import { dataSource } from './panels.js';

export interface Row {
  readonly title: string;
  readonly panels: readonly Builder<Panel>[];
}

export interface DashboardOptions {
  /** Names the file, and the address in Grafana: `emloc-NAME`. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Whether its queries select stages. */
  readonly hasStages?: boolean;
  readonly rows: readonly Row[];
}

const tag = 'emloc';

/** A dashboard with the variables and links that all of them have. */
export function createDashboard({
  name,
  title,
  description,
  hasStages = false,
  rows,
}: DashboardOptions): Dashboard {
  const builder = new DashboardBuilder(`EMLoC / ${title}`)
    .uid(`emloc-${name}`)
    .description(description)
    .tags([tag])
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .variables([
      ...commonVariables(),
      ...(hasStages ? [choice('stage', 'Stage', labelValues.stage)] : []),
    ])
    .annotations([])
    .link(
      new DashboardLinkBuilder('EMLoC')
        .type(DashboardLinkType.Dashboards)
        .tags([tag])
        .includeVars(true)
        .keepTime(true),
    );
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(panel);
  }
  const dashboard = builder.build();
  dashboard.panels?.forEach((panel, index) => {
    panel.id = index + 1;
  });
  // The builder's default is a menu; without it the links are in sight.
  dashboard.links?.forEach((link) => {
    delete link.placement;
  });
  return dashboard;
}

function commonVariables(): Builder<VariableModel>[] {
  return [
    new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'),
    // Only targets on Kubernetes have one.
    fromData('namespace', 'Namespace', 'label_values(emloc_build_info, namespace)'),
    choice('service', 'Service', serviceNames.join(', ')),
    fromData(
      'instance',
      'Instance',
      'label_values(emloc_build_info{namespace=~"$namespace", service=~"$service"}, instance)',
    ),
  ];
}

/** All, whatever the data source knows, or some of it. */
function fromData(name: string, label: string, query: string): Builder<VariableModel> {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(dataSource)
    .query(query)
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.*')
    .current(all());
}

/**
 * All, or some, of a fixed list: all of them are named in the query, so that other programs' series
 * of the same name are left out.
 */
function choice(name: string, label: string, options: string): Builder<VariableModel> {
  return new CustomVariableBuilder(name)
    .label(label)
    .values(options)
    .multi(true)
    .includeAll(true)
    .current(all());
}

function all(): { selected: boolean; text: string[]; value: string[] } {
  return { selected: true, text: ['All'], value: ['$__all'] };
}
