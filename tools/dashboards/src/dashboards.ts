import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';

import { memory } from './dashboards/memory.js';
import { overview } from './dashboards/overview.js';
import { busAndProcesses } from './dashboards/processes.js';
import { training } from './dashboards/training.js';

/** All dashboards, as Grafana reads them. */
export function createDashboards(): Dashboard[] {
  return [overview(), training(), memory(), busAndProcesses()];
}

/** Name of a dashboard's file in deploy/grafana/dashboards. */
export function fileNameOf({ uid }: Dashboard): string {
  return `${uid}.json`;
}

export function toJson(dashboard: Dashboard): string {
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}
