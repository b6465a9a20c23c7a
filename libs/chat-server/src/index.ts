export { RequestRefusal } from './errors.js';
export { isLoopback } from './http/guard.js';
export type { AnswerRequest, Answered, ChatModel } from './model.js';
export type { EndedRequest } from './observer.js';
export { startChatServer, type ChatServer } from './server.js';
