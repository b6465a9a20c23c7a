import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const root = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
export const prometheusFolder = join(root, 'deploy/prometheus');

/** An alert as its file has it. */
export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** YAML files of a folder, with their whole paths. */
export function yamlFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yml'))
    .map((name) => join(folder, name));
}

export const ruleFiles = yamlFiles(join(prometheusFolder, 'rules'));

/** All rules that deploy/prometheus has; they are alerts. */
export function readAlerts(): AlertRule[] {
  return ruleFiles.flatMap((file) =>
    (parse(readFileSync(file, 'utf8')) as { groups: { rules: AlertRule[] }[] }).groups.flatMap(
      ({ rules }) => rules,
    ),
  );
}
