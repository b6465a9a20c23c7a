import { catalogue, labelValues, type MetricSpec } from './catalogue.js';

/** `docs/reference/metrics.md`: the catalogue as tables. */
export function metricsDocument(): string {
  const specs = Object.values<MetricSpec>(catalogue);
  return [
    '# Metrics',
    '',
    "Every service serves these at `/metrics`. All of them carry the label `service`; `prometheus` adds `instance`. Node's own process metrics",
    '(`process_*`, `nodejs_*`) come on top. Jobs, tenants and requests are not labels: their number has no bound. Made from',
    '`libs/telemetry/src/catalogue.ts` by `UPDATE_DOCS=1 npm run jest -- libs/telemetry`.',
    '',
    ...table(['metric', 'type', 'unit', 'labels', 'meaning'], specs.map(toRow)),
    '',
    '## Labels',
    '',
    ...table(
      ['label', 'values'],
      Object.entries(labelValues).map(([name, values]) => [`\`${name}\``, values]),
    ),
    '',
  ].join('\n');
}

function toRow({ name, type, unit, labels, help }: MetricSpec): string[] {
  return [
    `\`${name}\``,
    type,
    unit === 'none' ? '' : unit,
    labels.map((label) => `\`${label}\``).join(' '),
    help,
  ];
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}
