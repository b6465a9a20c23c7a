import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { manifestNatsConfig } from './manifest-config.js';

test("the manifests' configuration of NATS is as its source says", () => {
  const file = fileURLToPath(
    new URL('../../../../deploy/kubernetes/base/nats-server.conf', import.meta.url),
  );
  if (process.env['UPDATE_DOCS']) writeFileSync(file, manifestNatsConfig());
  expect(readFileSync(file, 'utf8')).toBe(manifestNatsConfig());
});
