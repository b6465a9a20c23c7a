'use strict';
/*
 * What has to be set before anything else is loaded. CommonJS, because libuv sizes its thread pool
 * at the first asynchronous file read, which loading any ES module is. Layers are read by up to 16
 * parallel reads; beyond two for each core they only wait for each other.
 */
const { availableParallelism } = require('node:os');

process.env.UV_THREADPOOL_SIZE ??= String(Math.min(16, Math.max(4, 2 * availableParallelism())));
process.setSourceMapsEnabled(true);
