import { serveWorker } from '@emloc/service/worker';

import { runEngineTask } from './engine-tasks.js';
import type { EngineWorkerContract } from './worker-contract.js';

/**
 * The engine's thread: models, plans and outcomes, none of which the thread that serves waits for.
 */
serveWorker<EngineWorkerContract>(runEngineTask);
