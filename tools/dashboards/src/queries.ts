import type { Dashboard, Panel, VariableModel } from '@grafana/grafana-foundation-sdk/dashboard';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';

type AnyPanel = NonNullable<Dashboard['panels']>[number];

/** Whether it shows something, and is no row. */
export function isPanel(panel: AnyPanel): panel is Panel {
  return panel.type !== 'row';
}

/** The queries of a panel; all of them are for Prometheus. */
export function queriesOf({ targets = [] }: Panel): Dataquery[] {
  return targets as Dataquery[];
}

/**
 * What Grafana puts in the place of each variable while all its values are chosen, and of the
 * lengths of time that it knows itself.
 */
export function substitutions(
  { templating: { list = [] } }: Dashboard,
  { rateInterval, range }: { readonly rateInterval: string; readonly range: string },
): ReadonlyMap<string, string> {
  const chosen = list
    .filter(({ type }) => type !== 'datasource')
    .map((variable): [string, string] => [variable.name, allOf(variable)]);
  return new Map([...chosen, ['__rate_interval', rateInterval], ['__range', range]]);
}

function allOf({ allValue, query }: VariableModel): string {
  return (
    allValue ??
    `(${String(query)
      .split(',')
      .map((value) => value.trim())
      .join('|')})`
  );
}

/** A query as Prometheus gets it. @throws the variable that nothing stands for */
export function substituted(expression: string, values: ReadonlyMap<string, string>): string {
  return expression.replace(/\$(\w+)/g, (_, name: string) => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`${expression}: there is no variable ${name}`);
    return value;
  });
}
