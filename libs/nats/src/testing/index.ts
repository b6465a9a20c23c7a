export { startNatsServer, type NatsServer } from './server.js';
export { storageFullError } from './storage-full.js';
