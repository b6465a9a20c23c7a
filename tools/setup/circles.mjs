/**
 * The engine of a service runs on a thread of its own. What it loads is said by its entry; the
 * frame of services, with NATS, gRPC and logs, is the other thread's, which it asks for what it
 * needs (`@emloc/service/worker`).
 */
const engineThreads = '(^|/)services/[^/]+/src/(engine|outcome/worker)\\.ts$';
const serviceFrame = '(^|/)libs/service/src/index\\.ts$';

/**
 * Rules of dependency-cruiser: no module reaches itself by its imports, those of types included,
 * and no engine thread the frame of services.
 * @type {import('dependency-cruiser').IConfiguration}
 */
export default {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-service-in-engine-thread',
      severity: 'error',
      from: { path: engineThreads },
      to: { path: serviceFrame, reachable: true },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['/dist/', '/generated/', '/assembly/'] },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
    },
  },
};
