export { HubServer, hubTokens, defaultCommit, hashOf, type ServedModel } from './hub-server.js';
