export { startNatsServer, type NatsServer } from './server.js';
